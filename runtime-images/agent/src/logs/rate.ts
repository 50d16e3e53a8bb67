/** A token bucket over bytes, with a count of what did not fit. */

export interface Dropped {
  records: number;
  bytes: number;
}

export class LogRate {
  readonly #bytesPerSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  #tokens: number;
  #filledAt: number;
  #dropped: Dropped = { records: 0, bytes: 0 };

  /** @param now milliseconds on a clock that never goes back */
  constructor(bytesPerSecond: number, burstBytes: number, now: () => number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#burst = burstBytes;
    this.#now = now;
    this.#tokens = burstBytes;
    this.#filledAt = now();
  }

  /** Whether a record of this many bytes may pass; one that may not is counted. */
  admit(bytes: number): boolean {
    if (!this.has(bytes)) {
      this.drop(bytes);
      return false;
    }
    this.#tokens -= bytes;
    return true;
  }

  /** Whether this many bytes may pass now. */
  has(bytes: number): boolean {
    if (this.#tokens < bytes) {
      const now = this.#now();
      this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#filledAt) / 1000) * this.#bytesPerSecond);
      this.#filledAt = now;
    }
    return this.#tokens >= bytes;
  }

  /** Counts what was dropped for another reason. */
  drop(bytes: number, records = 1): void {
    this.#dropped.records += records;
    this.#dropped.bytes += bytes;
  }

  /** What was dropped and not yet told, or undefined when nothing was. */
  get dropped(): Readonly<Dropped> | undefined {
    return this.#dropped.records === 0 ? undefined : this.#dropped;
  }

  /** What was dropped has been told. */
  forgetDropped(): void {
    this.#dropped = { records: 0, bytes: 0 };
  }
}
