import { type KubeObject, objectKey, parseKey } from "../kube/index.ts";
import type { Cache } from "./context.ts";

/**
 * The objects of a cache by a key of theirs, so that whoever needs "all versions of this function" does not look at every version there
 * is. Kept current by the cache's own events: make it before whoever asks it subscribes to the same cache, and it has each change first.
 */
export class CacheIndex<T extends KubeObject> {
  #cache: Pick<Cache<T>, "get">;
  #byKey = new Map<string, Set<string>>();
  #keys = new Map<string, string>();

  constructor(cache: Pick<Cache<T>, "get" | "subscribe">, keyOf: (object: T) => string | undefined) {
    this.#cache = cache;
    cache.subscribe(({ type, object }) => this.#move(objectKey(object.metadata), type === "upsert" ? keyOf(object) : undefined));
  }

  /** The objects with this key, in no order. */
  of(key: string): T[] {
    return [...(this.#byKey.get(key) ?? [])].flatMap((object) => {
      const ref = parseKey(object);
      return this.#cache.get(ref.namespace, ref.name) ?? [];
    });
  }

  #move(object: string, to: string | undefined): void {
    const from = this.#keys.get(object);
    if (from === to) return;
    if (from !== undefined) {
      const left = this.#byKey.get(from);
      left?.delete(object);
      if (left?.size === 0) this.#byKey.delete(from);
      this.#keys.delete(object);
    }
    if (to === undefined) return;
    this.#keys.set(object, to);
    const there = this.#byKey.get(to);
    if (there) there.add(object);
    else this.#byKey.set(to, new Set([object]));
  }
}

/** Key of everything that belongs to a function: its namespace and Lambda's name. */
export function functionKey(namespace: string | undefined, functionName: string): string {
  return `${namespace ?? ""}/${functionName}`;
}
