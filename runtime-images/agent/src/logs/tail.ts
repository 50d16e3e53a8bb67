/** The last bytes of a log. */

const NEWLINE = 0x0a;

/** A ring of bytes: adding to it makes no garbage. */
export class LogTail {
  readonly #ring: Buffer;
  /** Bytes added so far. */
  #total = 0;

  constructor(limit: number) {
    this.#ring = Buffer.allocUnsafe(limit);
  }

  /** Adds one line; its end is written too. The buffer is copied. */
  add(line: Uint8Array): void {
    const limit = this.#ring.length;
    const kept = line.length < limit ? line : line.subarray(line.length - limit + 1);
    const start = this.#total % limit;
    const first = Math.min(kept.length, limit - start);
    this.#ring.set(kept.subarray(0, first), start);
    this.#ring.set(kept.subarray(first), 0);
    this.#ring[(start + kept.length) % limit] = NEWLINE;
    this.#total += kept.length + 1;
  }

  /** At most `limit` bytes, base64. */
  toBase64(): string {
    const limit = this.#ring.length;
    if (this.#total <= limit) return this.#ring.toString("base64", 0, this.#total);
    const start = this.#total % limit;
    return Buffer.concat([this.#ring.subarray(start), this.#ring.subarray(0, start)]).toString("base64");
  }
}
