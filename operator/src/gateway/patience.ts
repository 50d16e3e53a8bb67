/**
 * When a pod is not worth its start: a function whose events are short is served sooner by an environment that it has. Without this a
 * change of a function's code under load would make a pod for each caller of that moment, of which all but a few were never used again.
 */

/** A pod takes several times as long (DESIGN.md §10, P3). */
export const PATIENCE_MS = 100;
/** Of the latest event in the mean: what a function did twenty events ago no longer matters. */
const WEIGHT = 0.2;
/** From one event's answer to the next event's start, milliseconds, at most on a busy node. */
const TURN_MS = 1;

/** How long the events of a function's version take lately. */
export class RunTimes {
  readonly #ofFunction: RunTimes | undefined;
  #meanMs: number | undefined;

  /** @param ofFunction of all its versions: what is expected of one that has not run, so that a new version is no burst of starts */
  constructor(ofFunction?: RunTimes) {
    this.#ofFunction = ofFunction;
  }

  add(durationMs: number): void {
    this.#ofFunction?.add(durationMs);
    this.#meanMs = this.#meanMs === undefined ? durationMs : this.#meanMs + WEIGHT * (durationMs - this.#meanMs);
  }

  /** Milliseconds; undefined while nothing is known. */
  get expectedMs(): number | undefined {
    return this.#meanMs ?? this.#ofFunction?.expectedMs;
  }

  /** Whether so many environments serve so many callers within {@link PATIENCE_MS}. False while nothing is known. */
  areServedSoon(callers: number, environments: number): boolean {
    const meanMs = this.expectedMs;
    return meanMs !== undefined && environments > 0 && callers * (meanMs + TURN_MS) <= environments * PATIENCE_MS;
  }
}
