/**
 * When a pod is not worth its start: a function whose events are short is served sooner by the environments that it has. Without this a
 * change of a function's code under load would make a pod for each caller of that moment, and each start takes CPU from the nodes, so that
 * events take longer and seem to need still more pods.
 */

/** For so long anybody waits rather than have a pod made: one takes several times as long (DESIGN.md §10, P3). */
export const PATIENCE_MS = 100;
/** Of the latest one in the mean: what a function did twenty events ago no longer matters. */
const WEIGHT = 0.2;
/** From one event's answer to the next event's start, milliseconds, at most on a busy node. */
const TURN_MS = 1;
/** How long the pod of a function takes of which none was made yet, milliseconds. */
const START_MS = 1_000;
/** Of the time that a pod takes: whoever waits no longer than that for one on its way is served about as soon as by one of his own. */
const START_SHARE = 0.5;
/** However long pods took lately. */
const MAX_PATIENCE_MS = 2_500;

/** Who waits for a version's environments, and for which. */
export interface Demand {
  callers: number;
  /** Environments on their way. */
  expected: number;
  /** For how long each environment that runs has had its event, milliseconds. */
  busyMs: readonly number[];
}

/** How long events and starts of a function, or of one version of it, take lately. */
export class Patience {
  readonly #ofFunction: Patience | undefined;
  #runMs: number | undefined;
  #startMs: number | undefined;

  /** @param ofFunction of all its versions: what is expected of one that has not run, so that a new version is no burst of starts */
  constructor(ofFunction?: Patience) {
    this.#ofFunction = ofFunction;
  }

  /** What is expected of an event, milliseconds; undefined while nothing is known. */
  get runMs(): number | undefined {
    return this.#runMs ?? this.#ofFunction?.runMs;
  }

  /** The same of a start. */
  get startMs(): number | undefined {
    return this.#startMs ?? this.#ofFunction?.startMs;
  }

  /** An event took so long, milliseconds. */
  ran(durationMs: number): void {
    this.#ofFunction?.ran(durationMs);
    this.#runMs = mean(this.#runMs, durationMs);
  }

  /** A pod took so long from the wish for it until it could take events, milliseconds. */
  started(durationMs: number): void {
    this.#ofFunction?.started(durationMs);
    this.#startMs = mean(this.#startMs, durationMs);
  }

  /**
   * Whether those who wait are served about as soon by what runs or is on its way as by pods that were made now: within
   * {@link PATIENCE_MS}; or within a good part of a start, while as many are on their way as run. So a function's environments grow with
   * what it needs, at most twofold with each start, however slow a crowded node makes events and starts. False while it is not known how
   * long events take, and where they take longer than a start.
   */
  areServedSoon({ callers, expected, busyMs }: Demand): boolean {
    const { runMs, startMs = START_MS } = this;
    if (runMs === undefined) return false;
    const within = (ms: number, environments: number): boolean => environments > 0 && callers * (runMs + TURN_MS) <= environments * ms;
    // What has run the same event for longer than that is not counted on.
    const running = (ms: number): number => busyMs.filter((busy) => busy < ms).length;
    if (within(PATIENCE_MS, expected + running(PATIENCE_MS))) return true;
    const longest = Math.min(startMs * START_SHARE, MAX_PATIENCE_MS);
    return expected >= Math.max(1, running(longest)) && within(longest, expected + running(longest));
  }
}

const mean = (before: number | undefined, latest: number): number => (before === undefined ? latest : before + WEIGHT * (latest - before));
