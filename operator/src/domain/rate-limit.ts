/** Rates as Lambda limits them. Pure: whoever asks passes the time. */

/**
 * New environments of one function: 1,000 in every 10 seconds, refilled continuously and never more than that at once
 * (docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html).
 */
export const SCALE_OUT = { capacity: 1_000, perSecond: 100 } as const;

/** Requests per second that each unit of concurrency allows (docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html). */
const REQUESTS_PER_CONCURRENCY = 10;

/** What a function may be asked in a second, with the concurrency that it has or shares. */
export function requestRate(concurrency: number): { capacity: number; perSecond: number } {
  const rate = concurrency * REQUESTS_PER_CONCURRENCY;
  return { capacity: rate, perSecond: rate };
}

/** Lets pass what a rate allows: full in the beginning, refilled evenly. */
export class TokenBucket {
  readonly #capacity: number;
  readonly #perMs: number;
  #tokens: number;
  #at: number;

  /** @param options.now milliseconds of a clock that never jumps */
  constructor({ capacity, perSecond, now }: { capacity: number; perSecond: number; now: number }) {
    this.#capacity = capacity;
    this.#perMs = perSecond / 1000;
    this.#tokens = capacity;
    this.#at = now;
  }

  /** Takes one; false when there is none. */
  take(now: number): boolean {
    this.#refill(now);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** How long until there is one again, milliseconds; endless where nothing is refilled. */
  waitMs(now: number): number {
    this.#refill(now);
    return this.#tokens >= 1 ? 0 : (1 - this.#tokens) / this.#perMs;
  }

  #refill(now: number): void {
    this.#tokens = Math.min(this.#capacity, this.#tokens + Math.max(0, now - this.#at) * this.#perMs);
    this.#at = Math.max(this.#at, now);
  }
}
