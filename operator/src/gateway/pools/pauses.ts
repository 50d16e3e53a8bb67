/** Pause after the first failure, doubled with each further one. */
const PAUSE_MS = 15_000;
const MAX_PAUSE_MS = 600_000;

/** Pools whose pods do not start, and until when nothing more is made for them. All times are monotonic milliseconds. */
export class Pauses {
  readonly #byPool = new Map<string, { failures: number; until: number }>();

  /** A pod could not be made, or did not start. */
  failed(pool: string, now: number): void {
    const failures = (this.#byPool.get(pool)?.failures ?? 0) + 1;
    this.#byPool.set(pool, { failures, until: now + Math.min(PAUSE_MS * 2 ** (failures - 1), MAX_PAUSE_MS) });
  }

  /** One has started. */
  clear(pool: string): void {
    this.#byPool.delete(pool);
  }

  /** The pools that pause now. */
  current(now: number): Set<string> {
    return new Set([...this.#byPool].filter(([, { until }]) => until > now).map(([pool]) => pool));
  }
}
