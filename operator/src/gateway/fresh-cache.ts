import { callerThrottled } from "../domain/errors.ts";
import type { Clock } from "../kube/clock.ts";

/** How long a value is good. All milliseconds of age. */
export interface Lifetime {
  /** From this age on, using the value fetches it again in the background. */
  refreshMs: number;
  /** From this age on, the value is fetched before it is used. */
  expireMs: number;
  /** Up to this age an expired value is used where fetching fails for a reason that `staleOn` accepts. */
  staleMs: number;
}

export interface FreshCacheOptions<I, V> {
  load: (input: I) => Promise<V>;
  lifetime: (value: V) => Lifetime;
  /** Whether a failure to load leaves the old value in use: the source is away, as opposed to having answered. */
  staleOn: (error: unknown) => boolean;
  maxEntries: number;
  /** Loads under way at once; beyond it callers are throttled, so that strangers cannot flood the source through us. */
  maxPending: number;
  clock: Clock;
}

interface Entry<V> {
  value?: { v: V; at: number };
  pending?: Promise<V>;
  /** When the last load failed because the source is away. */
  awayAt?: number;
}

/**
 * Answers that are asked of somebody else, kept for a while: at once from memory when fresh, refreshed ahead of need when used,
 * served stale while the source is away. One load per key at a time. Bounded: what was loaded longest ago goes first.
 */
export class FreshCache<I, V> {
  readonly #options: FreshCacheOptions<I, V>;
  readonly #entries = new Map<string, Entry<V>>();
  #pending = 0;

  constructor(options: FreshCacheOptions<I, V>) {
    this.#options = options;
  }

  /** The value, without a promise when it is in memory. Rejects with what `load` rejected with, or throws K105 when too much is pending. */
  get(key: string, input: I): V | Promise<V> {
    const entry = this.#entries.get(key);
    if (entry?.value) {
      const now = this.#options.clock.monotonic();
      const age = now - entry.value.at;
      const { refreshMs, expireMs, staleMs } = this.#options.lifetime(entry.value.v);
      // A source that does not answer would hold up each caller for as long as a load may take; it is asked again in the background.
      const isAway = entry.awayAt !== undefined && now - entry.awayAt < expireMs;
      if (age < (isAway ? staleMs : expireMs)) {
        if (age >= refreshMs && !entry.pending && this.#pending < this.#options.maxPending) this.#load(key, entry, input).catch(() => {});
        return entry.value.v;
      }
    }
    if (entry?.pending) return entry.pending;
    if (this.#pending >= this.#options.maxPending) throw callerThrottled();
    return this.#load(key, entry ?? this.#add(key), input);
  }

  /** Whether there is a value, however old. */
  has(key: string): boolean {
    return this.#entries.get(key)?.value !== undefined;
  }

  #add(key: string): Entry<V> {
    for (const [oldest, { pending }] of this.#entries) {
      if (this.#entries.size < this.#options.maxEntries) break;
      if (!pending) this.#entries.delete(oldest);
    }
    const entry: Entry<V> = {};
    this.#entries.set(key, entry);
    return entry;
  }

  #load(key: string, entry: Entry<V>, input: I): Promise<V> {
    this.#pending++;
    const loading = this.#options
      .load(input)
      .then(
        (v) => {
          entry.value = { v, at: this.#options.clock.monotonic() };
          delete entry.awayAt;
          // To the end: eviction takes what was loaded longest ago.
          if (this.#entries.delete(key)) this.#entries.set(key, entry);
          return v;
        },
        (error: unknown) => this.#failed(key, entry, error),
      )
      .finally(() => {
        this.#pending--;
        delete entry.pending;
      });
    entry.pending = loading;
    return loading;
  }

  #failed(key: string, entry: Entry<V>, error: unknown): V {
    const { value } = entry;
    if (value && this.#options.staleOn(error)) {
      entry.awayAt = this.#options.clock.monotonic();
      const age = this.#options.clock.monotonic() - value.at;
      if (age < this.#options.lifetime(value.v).staleMs) return value.v;
    }
    this.#entries.delete(key);
    throw error;
  }
}
