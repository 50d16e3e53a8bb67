import { type KubeObject, objectKey } from "../kube/index.ts";

/**
 * What was written and may not have come back by the watch yet. Without it, a reconciliation right after a write would decide from
 * the state before it and write again.
 */
export class LastWrites<T extends KubeObject> {
  #writes = new Map<string, { bases: ReadonlySet<string | undefined>; written: T }>();

  /** Notes that `written` is what became of `base`. */
  note(base: T, written: T): void {
    const key = objectKey(base.metadata);
    const former = this.#writes.get(key);
    const { uid, resourceVersion } = base.metadata;
    // A write upon a write that the cache has not seen either: it may still show what the first was based on.
    const follows = former?.written.metadata.uid === uid && former?.written.metadata.resourceVersion === resourceVersion;
    this.#writes.set(key, { bases: new Set([...(follows ? (former?.bases ?? []) : []), resourceVersion]), written });
  }

  /** The object to decide from: the cached one, or what was written if the cache still has what that was based on. */
  latest(cached: T): T {
    const key = objectKey(cached.metadata);
    const write = this.#writes.get(key);
    if (write === undefined) return cached;
    if (cached.metadata.uid === write.written.metadata.uid && write.bases.has(cached.metadata.resourceVersion)) return write.written;
    this.#writes.delete(key);
    return cached;
  }

  /** Forgets an object that is gone. */
  forget(key: string): void {
    this.#writes.delete(key);
  }
}
