import { type Backoff, backoffMs } from "./backoff.ts";
import { type Clock, systemClock } from "./clock.ts";

export interface ReconcileResult {
  /** Look at the key again after this long, unless something else makes it due before. */
  requeueAfterMs?: number | undefined;
}

/** One finished reconciliation, for metrics and logs. */
export interface WorkQueueSample {
  queue: string;
  key: string;
  outcome: "success" | "requeue" | "error";
  /** How long it took. */
  seconds: number;
  /** How long the key was due before a worker took it. */
  waitSeconds: number;
  /** Failures in a row, this one included; 0 after a success. */
  failures: number;
  /** When it comes again by itself, milliseconds. */
  retryAfterMs?: number;
  error?: unknown;
}

export interface WorkQueueOptions {
  /** Named in samples. */
  name: string;
  /** Keys worked on at the same time. */
  workers: number;
  /** Brings the world in line for one key. A rejection is retried with back-off. The signal aborts when the queue stops. */
  // biome-ignore lint/suspicious/noConfusingVoidType: a reconciler that returns nothing is the normal case
  reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult | void>;
  /** Whose work a key is. One key of a group is worked on at a time, and groups take turns. Default: every key is on its own. */
  groupOf?: ((key: string) => string) | undefined;
  backoff?: Backoff | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
  /** Told of every reconciliation. Must not throw. */
  onResult?: ((sample: WorkQueueSample) => void) | undefined;
}

const DEFAULT_BACKOFF: Backoff = { baseMs: 200, maxMs: 60_000 };

/**
 * Keys that are due. A key is in the queue at most once and worked on by at most one worker; one that becomes due while it is
 * worked on comes again afterwards, so no change is ever missed. A failing key waits longer each time and holds up no other.
 */
export class WorkQueue {
  #options: WorkQueueOptions;
  #clock: Clock;
  #random: () => number;
  #backoff: Backoff;
  /** Due keys in order of arrival, with the time they became due. */
  #due = new Map<string, number>();
  /** Groups with a key that is due or in work: their other due keys, which wait until that one is done. */
  #groups = new Map<string, Map<string, number>>();
  /** Keys that become due by themselves later. */
  #delayed = new Map<string, { at: number; cancel: () => void }>();
  /** Keys in work; true when they became due again meanwhile. */
  #running = new Map<string, boolean>();
  #failures = new Map<string, number>();
  #state: "idle" | "started" | "stopped" = "idle";
  #stopping = new AbortController();
  #drained: (() => void) | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#backoff = options.backoff ?? DEFAULT_BACKOFF;
  }

  /** Keys that wait for a worker now. */
  get depth(): number {
    let depth = this.#due.size;
    for (const waiting of this.#groups.values()) depth += waiting.size;
    return depth;
  }

  /** Keys that workers are busy with. */
  get running(): number {
    return this.#running.size;
  }

  /** Makes a key due now. */
  add(key: string): void {
    if (this.#state === "stopped") return;
    this.#undelay(key);
    if (this.#running.has(key)) this.#running.set(key, true);
    else if (!this.#isDue(key)) this.#enqueue(key);
    this.#fill();
  }

  /** Makes a key due after `ms`; of several delays the earliest counts. */
  addAfter(key: string, ms: number): void {
    if (this.#state === "stopped" || this.#isDue(key)) return;
    if (ms <= 0) {
      this.add(key);
      return;
    }
    const at = this.#clock.monotonic() + ms;
    const delayed = this.#delayed.get(key);
    if (delayed && delayed.at <= at) return;
    delayed?.cancel();
    const cancel = this.#clock.setTimeout(() => {
      this.#delayed.delete(key);
      this.add(key);
    }, ms);
    this.#delayed.set(key, { at, cancel });
  }

  /** Lets the workers begin. Keys may be added before. */
  start(): void {
    if (this.#state !== "idle") return;
    this.#state = "started";
    this.#fill();
  }

  /** Takes no key any more and resolves when the workers are done with theirs. */
  async stop(): Promise<void> {
    this.#state = "stopped";
    this.#due.clear();
    this.#groups.clear();
    for (const delayed of this.#delayed.values()) delayed.cancel();
    this.#delayed.clear();
    this.#stopping.abort();
    if (this.#running.size === 0) return;
    await new Promise<void>((resolve) => {
      const others = this.#drained;
      this.#drained = () => {
        others?.();
        resolve();
      };
    });
  }

  #undelay(key: string): void {
    this.#delayed.get(key)?.cancel();
    this.#delayed.delete(key);
  }

  #isDue(key: string): boolean {
    return this.#due.has(key) || this.#groupOf(key)?.waiting?.has(key) === true;
  }

  #enqueue(key: string): void {
    const now = this.#clock.monotonic();
    const group = this.#groupOf(key);
    if (group?.waiting) {
      group.waiting.set(key, now);
      return;
    }
    if (group) this.#groups.set(group.name, new Map());
    this.#due.set(key, now);
  }

  /** A key is done: the next of its group becomes due, behind those of other groups. */
  #leaveGroup(key: string): void {
    const group = this.#groupOf(key);
    if (!group?.waiting) return;
    for (const [next, since] of group.waiting) {
      group.waiting.delete(next);
      this.#due.set(next, since);
      return;
    }
    this.#groups.delete(group.name);
  }

  #groupOf(key: string): { name: string; waiting: Map<string, number> | undefined } | undefined {
    const name = this.#options.groupOf?.(key);
    return name === undefined ? undefined : { name, waiting: this.#groups.get(name) };
  }

  #fill(): void {
    if (this.#state !== "started") return;
    for (const [key, since] of this.#due) {
      if (this.#running.size >= this.#options.workers) return;
      this.#due.delete(key);
      this.#running.set(key, false);
      void this.#work(key, since);
    }
  }

  async #work(key: string, since: number): Promise<void> {
    const start = this.#clock.monotonic();
    let result: ReconcileResult | undefined;
    let failure: { error: unknown } | undefined;
    try {
      result = (await this.#options.reconcile(key, this.#stopping.signal)) ?? undefined;
    } catch (error) {
      failure = { error };
    }
    const again = this.#running.get(key) === true;
    this.#running.delete(key);
    this.#leaveGroup(key);
    const retryAfterMs = this.#reschedule(key, again, result, failure !== undefined);
    this.#options.onResult?.({
      queue: this.#options.name,
      key,
      outcome: failure ? "error" : retryAfterMs === undefined ? "success" : "requeue",
      seconds: (this.#clock.monotonic() - start) / 1000,
      waitSeconds: (start - since) / 1000,
      failures: this.#failures.get(key) ?? 0,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      ...failure,
    });
    this.#fill();
    if (this.#state === "stopped" && this.#running.size === 0) this.#drained?.();
  }

  /** @returns after how many milliseconds the key comes again by itself */
  #reschedule(key: string, again: boolean, result: ReconcileResult | undefined, failed: boolean): number | undefined {
    let after = result?.requeueAfterMs;
    if (failed) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      after = backoffMs(failures, this.#backoff, this.#random);
    } else this.#failures.delete(key);
    // What changed while the worker was busy may be just what it failed on: do not wait.
    if (again) this.add(key);
    else if (after !== undefined) this.addAfter(key, after);
    return after;
  }
}
