/** Cuts a stream of bytes into lines of bounded length. */

const NEWLINE = 0x0a;
const RETURN = 0x0d;

/** Room for a line that arrives in parts, at first; it grows to what the longest one needs. */
const FIRST_ROOM = 1024;

/**
 * Keeps no more than one line of at most `maxBytes`; a longer one comes out in pieces, cut between characters.
 * Bytes stay bytes: nothing is decoded. Memory is used again, so that a function that never stops writing leaves no garbage: V8
 * collects what is outside its heap too late for the room that the agent has.
 */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #onLine: (line: Buffer) => void;
  /** The start of a line whose end has not come yet. */
  #partial = Buffer.allocUnsafe(FIRST_ROOM);
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
      this.#endLine(chunk.subarray(start, end));
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(this.#cut(chunk.subarray(start)));
  }

  /** Gives out what has no line end yet. */
  flush(): void {
    if (this.#partialBytes > 0) this.#endPartial();
  }

  #endLine(bytes: Buffer): void {
    const rest = this.#cut(bytes);
    if (this.#partialBytes === 0) {
      this.#give(rest);
      return;
    }
    this.#keep(rest);
    this.#endPartial();
  }

  /** Gives out whole pieces while the line is too long. @returns what is left */
  #cut(bytes: Buffer): Buffer {
    let rest = bytes;
    while (this.#partialBytes + rest.length > this.#maxBytes) {
      const cut = characterStart(rest, this.#maxBytes - this.#partialBytes);
      this.#keep(rest.subarray(0, cut));
      this.#endPartial();
      rest = rest.subarray(cut);
    }
    return rest;
  }

  #keep(bytes: Buffer): void {
    const length = this.#partialBytes + bytes.length;
    if (length > this.#partial.length) {
      const larger = Buffer.allocUnsafe(Math.min(this.#maxBytes, Math.max(length, 2 * this.#partial.length)));
      larger.set(this.#partial.subarray(0, this.#partialBytes));
      this.#partial = larger;
    }
    this.#partial.set(bytes, this.#partialBytes);
    this.#partialBytes = length;
  }

  #endPartial(): void {
    const line = this.#partial.subarray(0, this.#partialBytes);
    this.#partialBytes = 0;
    this.#give(line);
  }

  #give(line: Buffer): void {
    this.#onLine(line.at(-1) === RETURN ? line.subarray(0, -1) : line);
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
