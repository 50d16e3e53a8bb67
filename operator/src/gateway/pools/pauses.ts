/** Pause after the first failure, doubled with each further one. */
const PAUSE_MS = 15_000;
const MAX_PAUSE_MS = 600_000;
/** Pause while the API server does not answer, which says nothing about the pool. */
const AWAY_MS = 2_000;

interface Pause {
  failures: number;
  /** When the last one was seen. */
  failedAt: number;
  until: number;
}

/** Pools whose pods do not start, and until when nothing more is made for them. All times are monotonic milliseconds. */
export class Pauses {
  readonly #byPool = new Map<string, Pause>();

  /**
   * A pod could not be made, or did not start.
   * @param since when it was begun: those of one burst that fail together are one failure
   */
  failed(pool: string, since: number, now: number): void {
    const { failures, failedAt } = this.#byPool.get(pool) ?? { failures: 0, failedAt: Number.NEGATIVE_INFINITY };
    if (since < failedAt) return;
    this.#byPool.set(pool, { failures: failures + 1, failedAt: now, until: now + Math.min(PAUSE_MS * 2 ** failures, MAX_PAUSE_MS) });
  }

  /** A pod could not be made because nobody answered. */
  away(pool: string, now: number): void {
    const { failures = 0, failedAt = Number.NEGATIVE_INFINITY, until = 0 } = this.#byPool.get(pool) ?? {};
    this.#byPool.set(pool, { failures, failedAt, until: Math.max(until, now + AWAY_MS) });
  }

  /** One has started. */
  clear(pool: string): void {
    this.#byPool.delete(pool);
  }

  /** The pools that pause now. */
  current(now: number): Set<string> {
    // After so long without a failure the next one is a first one; the pool may be gone as well.
    for (const [pool, { until }] of this.#byPool) if (now - until > MAX_PAUSE_MS) this.#byPool.delete(pool);
    return new Set([...this.#byPool].filter(([, { until }]) => until > now).map(([pool]) => pool));
  }
}
