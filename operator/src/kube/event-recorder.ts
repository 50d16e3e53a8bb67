import { createHash, randomBytes } from "node:crypto";
import type { KubeClient } from "./client.ts";
import { type Clock, systemClock } from "./clock.ts";
import { KubeError } from "./errors.ts";
import { microTime } from "./leader-elector.ts";
import { type KubeObject, Resources } from "./objects.ts";

/** Something that a person who looks at an object should know: `kubectl describe` shows it. */
export interface RecordedEvent {
  /** The object it is about. */
  regarding: KubeObject;
  type: "Normal" | "Warning";
  /** UpperCamelCase, at most 128 characters. */
  reason: string;
  /** What was being done: UpperCamelCase, at most 128 characters. */
  action: string;
  /** For people; cut at 1,024 bytes. */
  note: string;
}

export interface EventRecorderOptions {
  /** `kappa.dev/controller` and the like. */
  reportingController: string;
  /** The pod's name. */
  reportingInstance: string;
  /** Told of events that could not be written or had to be dropped. */
  onError?: ((error: unknown) => void) | undefined;
  clock?: Clock | undefined;
}

interface Event extends KubeObject {
  eventTime: string;
  reportingController: string;
  reportingInstance: string;
  action: string;
  reason: string;
  type: string;
  note: string;
  regarding: { apiVersion: string; kind: string; namespace?: string; name: string; uid?: string; resourceVersion?: string };
  series?: { count: number; lastObservedTime: string };
}

interface Series {
  event: Event;
  count: number;
  /** How often it happened when it was last written; 0: never. */
  written: number;
  lastAt: number;
  /** When it may be written again. */
  notBefore: number;
}

/** After this without a repetition a series is over and the next occurrence a new event: the interval of client-go's events package. */
const SERIES_MS = 6 * 60_000;
/** A repeated event is counted up at most this often. */
const REPEAT_WRITE_MS = 30_000;
/** A write that failed is tried again after this. */
const RETRY_WRITE_MS = 5_000;
/** Writes: this many at once, and then one each so many milliseconds. */
const BURST = 25;
const REFILL_MS = 200;
/** Series remembered; events of further ones are dropped until some are over. */
const MAX_SERIES = 2_000;
const MAX_NOTE = 1_024;

/**
 * Writes Events without ever holding up its caller: `record` returns at once, equal events become one with a count, the rate of writes
 * and the memory for them are bounded, and what cannot be written is dropped and told.
 */
export class EventRecorder {
  #client: KubeClient;
  #options: EventRecorderOptions;
  #clock: Clock;
  #series = new Map<string, Series>();
  #tokens = BURST;
  #refilledAt: number;
  #timer: { at: number; cancel: () => void } | undefined;
  #writing: Promise<void> | undefined;
  #stopped = false;

  constructor(client: KubeClient, options: EventRecorderOptions) {
    this.#client = client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#refilledAt = this.#clock.monotonic();
  }

  /** Notes an event. Never throws, never waits. */
  record(recorded: RecordedEvent): void {
    if (this.#stopped) return;
    const now = this.#clock.monotonic();
    const key = keyOf(recorded);
    const known = this.#series.get(key);
    if (known && now - known.lastAt < SERIES_MS) {
      known.count++;
      known.lastAt = now;
      this.#arm(known.notBefore);
    } else {
      this.#forget(now);
      if (this.#series.size >= MAX_SERIES) {
        this.#options.onError?.(
          new Error(`event ${recorded.reason} of ${recorded.regarding.metadata.name} dropped: ${MAX_SERIES} others are waiting`),
        );
        return;
      }
      this.#series.set(key, { event: this.#event(recorded), count: 1, written: 0, lastAt: now, notBefore: now });
      this.#arm(now);
    }
  }

  /** Writes what is due now and takes no more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    await this.#writing;
    for (const [key, series] of this.#series) if (series.written === 0 && this.#takeToken()) await this.#write(key, series);
  }

  #event({ regarding, type, reason, action, note }: RecordedEvent): Event {
    const { namespace, name, uid, resourceVersion } = regarding.metadata;
    return {
      apiVersion: Resources.event.apiVersion,
      kind: Resources.event.kind,
      // Events of cluster-wide objects live in "default": that is where kubectl describe looks.
      metadata: { namespace: namespace ?? "default", name: `${name.slice(0, 230)}.${randomBytes(8).toString("hex")}` },
      eventTime: microTime(this.#clock.now()),
      reportingController: this.#options.reportingController,
      reportingInstance: this.#options.reportingInstance,
      type,
      reason,
      action,
      note: cut(note, MAX_NOTE),
      regarding: {
        apiVersion: regarding.apiVersion,
        kind: regarding.kind,
        name,
        ...(namespace === undefined ? {} : { namespace }),
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      },
    };
  }

  #forget(now: number): void {
    for (const [key, series] of this.#series) if (now - series.lastAt >= SERIES_MS && series.written > 0) this.#series.delete(key);
  }

  /** Arms the one timer for the next write that is due. */
  #schedule(): void {
    let next = Number.POSITIVE_INFINITY;
    for (const series of this.#series.values()) if (series.count > series.written) next = Math.min(next, series.notBefore);
    if (next < Number.POSITIVE_INFINITY) this.#arm(next);
  }

  /** Makes the timer fire at `at` or as soon as the rate allows, unless it fires before anyway. */
  #arm(at: number): void {
    // After writing, everything is looked through.
    if (this.#stopped || this.#writing) return;
    const now = this.#clock.monotonic();
    this.#refill(now);
    const when = Math.max(at, this.#tokens >= 1 ? now : now + REFILL_MS);
    if (this.#timer) {
      if (this.#timer.at <= when) return;
      this.#timer.cancel();
    }
    const cancel = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#writeDue().finally(() => {
        this.#writing = undefined;
        this.#schedule();
      });
    }, when - now);
    this.#timer = { at: when, cancel };
  }

  async #writeDue(): Promise<void> {
    for (const [key, series] of this.#series) {
      if (series.count === series.written || series.notBefore > this.#clock.monotonic()) continue;
      if (!this.#takeToken()) return;
      await this.#write(key, series);
    }
  }

  async #write(key: string, series: Series): Promise<void> {
    const { event, count } = series;
    try {
      if (series.written === 0) await this.#client.create(Resources.event, event);
      else {
        const patch = { series: { count, lastObservedTime: microTime(this.#clock.now()) } };
        await this.#client.mergePatch(Resources.event, { namespace: event.metadata.namespace, name: event.metadata.name }, patch);
      }
      series.written = series.written === 0 ? 1 : count;
      series.notBefore = this.#clock.monotonic() + REPEAT_WRITE_MS;
    } catch (error) {
      this.#options.onError?.(error);
      // Retrying is worth it only when the API server was away; the namespace may be terminating, the Event expired (one hour).
      if (!(error instanceof KubeError && error.retryable)) this.#series.delete(key);
      series.notBefore = this.#clock.monotonic() + RETRY_WRITE_MS;
    }
  }

  #refill(now: number): void {
    this.#tokens = Math.min(BURST, this.#tokens + (now - this.#refilledAt) / REFILL_MS);
    this.#refilledAt = now;
  }

  #takeToken(): boolean {
    this.#refill(this.#clock.monotonic());
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

function keyOf({ regarding, type, reason, action, note }: RecordedEvent): string {
  const hash = createHash("sha256");
  for (const part of [regarding.metadata.uid ?? regarding.metadata.name, regarding.metadata.namespace, type, reason, action, note])
    hash.update(`${part ?? ""}\0`);
  return hash.digest("base64");
}

/** Cuts text at a number of bytes, between characters. */
function cut(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  // A character cut in two becomes U+FFFD; drop it, and leave room for the ellipsis (three bytes).
  return `${Buffer.from(text)
    .subarray(0, maxBytes - 3)
    .toString("utf8")
    .replace(/\uFFFD+$/u, "")}…`;
}
