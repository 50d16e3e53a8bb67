/** Exponential back-off: `baseMs`, twice that, four times …, never more than `maxMs`. */
export interface Backoff {
  baseMs: number;
  maxMs: number;
}

/**
 * Delay before the next attempt after `failures` failures in a row (1 or more), milliseconds. Half of it is random, so that many
 * clients that failed together do not come back together.
 * @param random uniform in [0, 1)
 */
export function backoffMs(failures: number, backoff: Backoff, random: () => number): number {
  // 2^52 is far beyond any limit; larger exponents would overflow to Infinity first and to NaN times zero later.
  const full = Math.min(backoff.maxMs, backoff.baseMs * 2 ** Math.min(failures - 1, 52));
  return full / 2 + (full / 2) * random();
}
