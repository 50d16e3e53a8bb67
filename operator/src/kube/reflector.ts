import { type Backoff, backoffMs } from "./backoff.ts";
import type { KubeClient, ListOptions } from "./client.ts";
import { type Clock, sleep, systemClock } from "./clock.ts";
import { KubeError, NO_ANSWER } from "./errors.ts";
import { type KubeObject, objectKey, type ResourceRef } from "./objects.ts";

/** A change of the cache. `old` is what was there before. A delete carries the last known state. */
export type ReflectorEvent<T extends KubeObject> = { type: "upsert"; object: T; old?: T } | { type: "delete"; object: T; old?: T };

export interface ReflectorOptions<T extends KubeObject> extends ListOptions {
  resource: ResourceRef;
  /** What is kept of an object. Default: everything but `metadata.managedFields`. Must keep name, namespace, uid and resourceVersion. */
  transform?: ((object: T) => T) | undefined;
  /** Told of every failure that is retried, and of a subscriber that threw. */
  onError?: ((error: unknown) => void) | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
  backoff?: Backoff | undefined;
  /** Shortest life of one watch, seconds; each lasts up to twice as long, so that many do not end together. Default 290 (client-go's 5–10 minutes). */
  watchSeconds?: number | undefined;
  /**
   * Silence after which a watch is opened anew, milliseconds. Default 150,000: bookmarks come each minute where anything of the kind
   * changes in the cluster, so two were missed, or nothing changed and it costs one request.
   */
  idleTimeoutMs?: number | undefined;
}

/** Short at its longest: what waits for a pod to become ready should not wait for us when the API server is back. */
const DEFAULT_BACKOFF: Backoff = { baseMs: 200, maxMs: 5_000 };
const DEFAULT_WATCH_SECONDS = 290;
const DEFAULT_IDLE_TIMEOUT_MS = 150_000;
/** A watch that the server refuses this often in a row cannot be resumed, whatever it says (a restored etcd does not say Gone). */
const REFUSALS_BEFORE_RELIST = 3;
/** A watch that ends sooner, and brought nothing, counts as a failure: client-go's "very short watch". */
const SHORT_WATCH_MS = 1_000;

/**
 * A copy in memory of one collection, kept up to date for ever: list, then watch from the list's resource version, resumed from the
 * last event or bookmark after any interruption. When the server no longer has that version (410) it lists again and tells the
 * difference, deletions included. It never gives up; failures are told to `onError` and retried with jittered back-off.
 */
export class Reflector<T extends KubeObject> {
  #client: KubeClient;
  #options: ReflectorOptions<T>;
  #clock: Clock;
  #transform: (object: T) => T;
  #store = new Map<string, T>();
  #subscribers = new Set<(event: ReflectorEvent<T>) => void>();
  #stopping = new AbortController();
  #loop: Promise<void> | undefined;
  #resourceVersion: string | undefined;
  #synced = Promise.withResolvers<void>();
  #hasSynced = false;

  constructor(client: KubeClient, options: ReflectorOptions<T>) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#transform = options.transform ?? withoutManagedFields;
    // Whoever waits hears of it; a reflector that nobody waits for may be stopped before it was in sync.
    this.#synced.promise.catch(() => {});
  }

  /** Begins to list and watch. */
  start(): void {
    this.#loop ??= this.#run();
  }

  /** Ends the watch. What is cached can still be read, but no longer changes. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#synced.reject(
      new KubeError(`the reflector of ${this.#options.resource.plural} was stopped before its first list`, {
        status: NO_ANSWER,
        reason: "Stopped",
      }),
    );
    await this.#loop;
  }

  /** Resolves after the first complete list. @throws KubeError if stopped before */
  synced(): Promise<void> {
    return this.#synced.promise;
  }

  /** Whether the first list is complete. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Up to which version of the collection the cache is known to be current; undefined until listed, or while listing again. */
  get resourceVersion(): string | undefined {
    return this.#resourceVersion;
  }

  get size(): number {
    return this.#store.size;
  }

  /** One object; the namespace is ignored for cluster-wide kinds. Shared with all readers: do not change it. */
  get(namespace: string | undefined, name: string): T | undefined {
    return this.#store.get(objectKey({ namespace: this.#options.resource.namespaced ? namespace : undefined, name }));
  }

  /** All objects, in no particular order. Shared with all readers: do not change them. */
  list(): T[] {
    return [...this.#store.values()];
  }

  /**
   * Calls back on every change; first, within this call, with everything already there. The cache has the new state when the callback runs.
   * @returns ends the subscription
   */
  subscribe(callback: (event: ReflectorEvent<T>) => void): () => void {
    // Its own function object: subscribing the same callback twice is two subscriptions.
    const subscriber = (event: ReflectorEvent<T>) => callback(event);
    this.#subscribers.add(subscriber);
    for (const object of this.#store.values()) this.#tell(subscriber, { type: "upsert", object });
    return () => {
      this.#subscribers.delete(subscriber);
    };
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const backoff = this.#options.backoff ?? DEFAULT_BACKOFF;
    let failures = 0;
    let refusals = 0;
    while (!signal.aborted) {
      let progress = false;
      const start = this.#clock.monotonic();
      try {
        if (this.#resourceVersion === undefined) {
          await this.#relist(signal);
          refusals = 0;
        }
        await this.#watch(signal, () => {
          progress = true;
        });
        if (progress || this.#clock.monotonic() - start >= SHORT_WATCH_MS) {
          failures = 0;
          refusals = 0;
          continue;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (progress) {
          failures = 0;
          refusals = 0;
        }
        if (error instanceof KubeError && error.reason === "Idle") continue;
        const status = error instanceof KubeError ? error.status : NO_ANSWER;
        if (status !== NO_ANSWER) refusals++;
        const gone = error instanceof KubeError && error.gone;
        if (gone || refusals >= REFUSALS_BEFORE_RELIST) this.#resourceVersion = undefined;
        if (gone) {
          // An ordinary part of watching: list again at once, unless it happens again and again.
          if (failures++ === 0) continue;
        } else this.#report(error);
      }
      failures++;
      await sleep(this.#clock, backoffMs(failures, backoff, this.#options.random ?? Math.random), signal);
    }
  }

  async #relist(signal: AbortSignal): Promise<void> {
    const { namespace, labelSelector, fieldSelector, metadataOnly, resource } = this.#options;
    const found = new Map<string, T>();
    const resourceVersion = await this.#client.listEach<T>(
      resource,
      { namespace, labelSelector, fieldSelector, metadataOnly, signal },
      (object) => {
        const key = objectKey(object.metadata);
        const old = this.#store.get(key);
        // Unchanged: keep the one object that readers already share.
        const same = old?.metadata.uid === object.metadata.uid && old?.metadata.resourceVersion === object.metadata.resourceVersion;
        found.set(key, same && old ? old : this.#transform(object));
      },
      () => found.clear(),
    );
    if (signal.aborted) return;
    for (const [key, old] of this.#store) if (!found.has(key)) this.#remove(key, old);
    for (const [key, object] of found) this.#put(key, object);
    this.#resourceVersion = resourceVersion;
    this.#hasSynced = true;
    this.#synced.resolve();
  }

  async #watch(signal: AbortSignal, onProgress: () => void): Promise<void> {
    const { namespace, labelSelector, fieldSelector, metadataOnly, resource } = this.#options;
    const shortest = this.#options.watchSeconds ?? DEFAULT_WATCH_SECONDS;
    const events = this.#client.watch<T>(resource, {
      namespace,
      labelSelector,
      fieldSelector,
      metadataOnly,
      signal,
      resourceVersion: this.#resourceVersion ?? "",
      timeoutSeconds: Math.ceil(shortest * (1 + (this.#options.random ?? Math.random)())),
      idleTimeoutMs: this.#options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS,
    });
    for await (const event of events) {
      if (signal.aborted) return;
      onProgress();
      if (event.type === "BOOKMARK") {
        this.#resourceVersion = event.resourceVersion;
        continue;
      }
      const key = objectKey(event.object.metadata);
      if (event.type === "DELETED") {
        if (this.#store.has(key)) this.#remove(key, this.#transform(event.object));
      } else this.#put(key, this.#transform(event.object));
      this.#resourceVersion = event.object.metadata.resourceVersion;
    }
  }

  #put(key: string, object: T): void {
    let old = this.#store.get(key);
    if (old === object) return;
    if (old && old.metadata.uid !== object.metadata.uid) {
      // Deleted and made anew while nobody watched: two objects, two events.
      this.#remove(key, old);
      old = undefined;
    }
    this.#store.set(key, object);
    this.#publish(old ? { type: "upsert", object, old } : { type: "upsert", object });
  }

  #remove(key: string, last: T): void {
    const old = this.#store.get(key);
    this.#store.delete(key);
    this.#publish(old ? { type: "delete", object: last, old } : { type: "delete", object: last });
  }

  #publish(event: ReflectorEvent<T>): void {
    for (const subscriber of this.#subscribers) this.#tell(subscriber, event);
  }

  #tell(subscriber: (event: ReflectorEvent<T>) => void, event: ReflectorEvent<T>): void {
    try {
      subscriber(event);
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    this.#options.onError?.(error);
  }
}

function withoutManagedFields<T extends KubeObject>(object: T): T {
  delete object.metadata.managedFields;
  return object;
}
