/** Cuts a stream of bytes into lines of bounded length. */

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/**
 * Keeps no more than one line of at most `maxBytes`; a longer one comes out in pieces, cut between characters.
 * Bytes stay bytes: nothing is decoded.
 */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: (line: Buffer) => void;
  #partial: Buffer[] = [];
  #partialBytes = 0;

  /** @param onLine gets each line without its end. The buffer is only valid during the call. */
  constructor(maxBytes: number, onLine: (line: Buffer) => void) {
    this.#maxBytes = maxBytes;
    this.#onLine = onLine;
  }

  /** Takes the next bytes. `chunk` may be used again by the caller afterwards. */
  push(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#add(chunk.subarray(start, end), false);
      this.flush(true);
      start = end + 1;
    }
    if (start < chunk.length) this.#add(chunk.subarray(start), true);
  }

  /** Gives out what has no line end yet. @param even also when it is empty */
  flush(even = false): void {
    const [first] = this.#partial;
    const line = first === undefined ? Buffer.alloc(0) : this.#partial.length === 1 ? first : Buffer.concat(this.#partial);
    if (line.length === 0 && !even) return;
    this.#partial = [];
    this.#partialBytes = 0;
    this.#onLine(line.at(-1) === RETURN ? line.subarray(0, -1) : line);
  }

  /** @param keep whether the bytes outlive this call, so that they have to be copied */
  #add(bytes: Buffer, keep: boolean): void {
    let rest = bytes;
    while (this.#partialBytes + rest.length > this.#maxBytes) {
      const cut = characterStart(rest, this.#maxBytes - this.#partialBytes);
      this.#append(rest.subarray(0, cut), false);
      this.flush();
      rest = rest.subarray(cut);
    }
    this.#append(rest, keep);
  }

  #append(bytes: Buffer, keep: boolean): void {
    if (bytes.length === 0) return;
    this.#partial.push(keep ? Buffer.from(bytes) : bytes);
    this.#partialBytes += bytes.length;
    // Output that comes byte by byte must not become a list of a quarter of a million buffers.
    if (this.#partial.length >= 64) this.#partial = [Buffer.concat(this.#partial)];
  }
}

/** The last position at or before `position` at which a UTF-8 character starts, if there is one within a character's length. */
function characterStart(bytes: Buffer, position: number): number {
  for (let at = position; at > position - 4 && at > 0; at--) {
    const byte = bytes[at];
    if (byte === undefined || (byte & 0xc0) !== 0x80) return at;
  }
  return position;
}
