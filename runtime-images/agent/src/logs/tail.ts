/** The last bytes of a log. */
export class LogTail {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Adds one line; its end is written too. The buffer is copied. */
  add(line: Uint8Array): void {
    const kept = line.length >= this.#limit ? line.subarray(line.length - this.#limit + 1) : line;
    const chunk = Buffer.allocUnsafe(kept.length + 1);
    chunk.set(kept);
    chunk[kept.length] = 0x0a;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (let [first] = this.#chunks; first && this.#bytes - first.length >= this.#limit; [first] = this.#chunks) {
      this.#chunks.shift();
      this.#bytes -= first.length;
    }
  }

  /** At most `limit` bytes, base64. */
  toBase64(): string {
    const all = Buffer.concat(this.#chunks);
    return all.subarray(Math.max(0, all.length - this.#limit)).toString("base64");
  }
}
