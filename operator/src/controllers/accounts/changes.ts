import type { Cache } from "../context.ts";
import { accountOf, type NamespaceObject } from "./decide.ts";

/**
 * Calls back when a namespace becomes an account, gets its id, or is one no longer. Not for those that are there: whoever starts looks
 * at everything anyway.
 * @returns what ends it
 */
export function accountChanges(
  namespaces: Pick<Cache<NamespaceObject>, "get" | "subscribe">,
  changed: (namespace: string) => void,
): () => void {
  let replayed = false;
  const end = namespaces.subscribe(({ object, old }) => {
    if (!replayed) return;
    const before = accountOf(old);
    const after = accountOf(namespaces.get(undefined, object.metadata.name));
    if (before.enabled !== after.enabled || before.accountId !== after.accountId) changed(object.metadata.name);
  });
  replayed = true;
  return end;
}
