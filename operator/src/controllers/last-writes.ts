import { type KubeObject, objectKey } from "../kube/index.ts";

/**
 * What was written and may not have come back by the watch yet. Without it, a reconciliation right after a write would decide from
 * the state before it and write again.
 */
export class LastWrites<T extends KubeObject> {
  #writes = new Map<string, { base: string | undefined; written: T }>();

  /** Notes that `written` is what became of `base`. */
  note(base: T, written: T): void {
    this.#writes.set(objectKey(base.metadata), { base: base.metadata.resourceVersion, written });
  }

  /** The object to decide from: the cached one, or what was written if the cache still has what that was based on. */
  latest(cached: T): T {
    const key = objectKey(cached.metadata);
    const write = this.#writes.get(key);
    if (write === undefined) return cached;
    if (cached.metadata.uid === write.written.metadata.uid && cached.metadata.resourceVersion === write.base) return write.written;
    this.#writes.delete(key);
    return cached;
  }

  /** Forgets an object that is gone. */
  forget(key: string): void {
    this.#writes.delete(key);
  }
}
