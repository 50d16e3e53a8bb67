/** Says of every object of the kinds that are not reconciled yet that they are not. */
import { objectKey, parseKey, type ResourceRef } from "../../kube/index.ts";
import { FieldManager } from "../../resources/labels.ts";
import { type Cache, type Controller, type ControllerContext, observedQueue } from "../context.ts";
import { writeStatus } from "../status.ts";
import { type ConditionedObject, decideNotReconciled } from "./decide.ts";

/** One kind and its cache: a Reflector of whatever the kind's own type is. */
export interface KindToReport {
  resource: ResourceRef;
  cache: Pick<Cache<ConditionedObject>, "get" | "subscribe">;
}

/** Makes the controller of those kinds. */
export function kindsController(kinds: readonly KindToReport[], context: ControllerContext): Controller {
  const { client, clock } = context;
  const subscriptions: (() => void)[] = [];
  const caches = new Map(kinds.map((kind) => [kind.resource.plural, kind]));
  const queue = observedQueue(context, { name: "kinds", workers: 2, reconcile });

  /** @param key `plural/namespace/name` */
  async function reconcile(key: string): Promise<undefined> {
    const slash = key.indexOf("/");
    const kind = caches.get(key.slice(0, slash));
    const ref = parseKey(key.slice(slash + 1));
    const object = kind?.cache.get(ref.namespace, ref.name);
    if (kind === undefined || object === undefined) return;
    const conditions = decideNotReconciled(object, clock);
    if (conditions === undefined) return;
    await writeStatus(client, kind.resource, object, { conditions }, FieldManager.kinds);
  }

  return {
    start() {
      for (const { resource, cache } of kinds)
        subscriptions.push(
          cache.subscribe(({ type, object }) => {
            if (type === "upsert") queue.add(`${resource.plural}/${objectKey(object.metadata)}`);
          }),
        );
      queue.start();
    },
    async stop() {
      for (const end of subscriptions.splice(0)) end();
      await queue.stop();
    },
  };
}
