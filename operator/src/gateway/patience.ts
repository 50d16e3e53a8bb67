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
/** What has been on its way for so many times as long as pods take is late, and nobody waits longer than {@link PATIENCE_MS} for its sake. */
const LATE = 3;

/** Who waits for a version's environments, and for which. */
export interface Demand {
  callers: number;
  /** For how long each environment that takes no events yet has been on its way, milliseconds. */
  startingMs: readonly number[];
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
   * {@link PATIENCE_MS}; or within half a start, if as many are on their way as run. So a function gets more environments while it needs
   * them, and no burst of starts whenever a crowded node makes its events slower. False while it is not known how long events take.
   */
  areServedSoon({ callers, startingMs, busyMs }: Demand): boolean {
    const { runMs, startMs = START_MS } = this;
    if (runMs === undefined) return false;
    // What has had its event for longer than that is not counted on.
    const within = (limitMs: number, eventMs: number, starting: number): boolean => {
      const serving = starting + countBelow(busyMs, limitMs);
      return serving > 0 && callers * (eventMs + TURN_MS) <= serving * limitMs;
    };
    if (within(PATIENCE_MS, runMs, startingMs.length)) return true;
    const punctual = countBelow(startingMs, startMs * LATE);
    // Events that run for longer than the mean say that it is out of date.
    const latelyMs = Math.max(runMs, median(busyMs));
    return punctual >= Math.max(1, busyMs.length) && within(Math.min(startMs * START_SHARE, MAX_PATIENCE_MS), latelyMs, punctual);
  }
}

const mean = (before: number | undefined, latest: number): number => (before === undefined ? latest : before + WEIGHT * (latest - before));

const countBelow = (times: readonly number[], limit: number): number => times.reduce((sum, time) => (time < limit ? sum + 1 : sum), 0);

/** 0 of none. */
const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;
