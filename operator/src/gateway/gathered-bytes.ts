/** Smallest block, bytes. */
const BLOCK = 64 * 1024;

/** Bytes put together in blocks, so that a million parts of one byte take no more memory than one part of a million. */
export class GatheredBytes {
  #blocks: Buffer[] = [];
  /** Bytes used of the last block. */
  #used = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Copies: what was given may be part of something larger, which would be kept with it. */
  add(bytes: Uint8Array): void {
    this.#length += bytes.length;
    let rest = bytes;
    const last = this.#blocks.at(-1);
    if (last && this.#used < last.length) {
      const fits = rest.subarray(0, last.length - this.#used);
      last.set(fits, this.#used);
      this.#used += fits.length;
      rest = rest.subarray(fits.length);
    }
    if (rest.length === 0) return;
    const block = Buffer.allocUnsafe(Math.max(BLOCK, rest.length));
    block.set(rest);
    this.#blocks.push(block);
    this.#used = rest.length;
  }

  /** Everything so far, in one piece; then it is empty. */
  take(): Buffer {
    const all = this.#blocks.length === 1 ? this.#blocks[0]?.subarray(0, this.#used) : Buffer.concat(this.#blocks, this.#length);
    this.#blocks = [];
    this.#used = 0;
    this.#length = 0;
    return all ?? Buffer.alloc(0);
  }
}
