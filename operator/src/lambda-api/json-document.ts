/**
 * Whether bytes are one JSON document (RFC 8259), without building it. Payloads are handed on as they came; a 6 MB one must not
 * hold the event loop for the tens of milliseconds that `JSON.parse` would, so large ones are checked in slices.
 */

import { isUtf8 } from "node:buffer";

/** Below this `JSON.parse` is quicker than anything written in JavaScript. */
const SMALL = 32 * 1024;
/** Bytes checked before other work gets its turn; less than a millisecond. */
const SLICE = 256 * 1024;
/** Deepest nesting accepted, as in the parser that Lambda's front end uses. */
const MAX_DEPTH = 1000;
const NOT_UTF8 = "Could not parse payload into json: Invalid UTF-8";

/** Why a payload is not JSON, in Lambda's words after "Could not parse request body into json: "; absent when it is. */
type JsonProblem = string | undefined;

/** Checks a payload: at once when it is small, else in slices. Empty bytes are no document. */
export function checkJson(bytes: Uint8Array): JsonProblem | Promise<JsonProblem> {
  if (bytes.length > SMALL) return checkInSlices(bytes);
  if (!isUtf8(bytes)) return NOT_UTF8;
  try {
    JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8"));
    return undefined;
  } catch (error) {
    return `Could not parse payload into json: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function checkInSlices(bytes: Uint8Array): Promise<JsonProblem> {
  if (!isUtf8(bytes)) return NOT_UTF8;
  const checker = new JsonChecker();
  for (let start = 0; start < bytes.length; start += SLICE) {
    if (start > 0) await new Promise((resolve) => setImmediate(resolve));
    const problem = checker.push(bytes.subarray(start, start + SLICE));
    if (problem !== undefined) return problem;
  }
  return checker.end();
}

type Expecting = "value" | "valueOrEnd" | "key" | "keyOrEnd" | "colon" | "commaOrEnd" | "nothing";
type Token = "none" | "string" | "escape" | "hex" | "number" | "word";

const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** Longest number kept for checking; longer ones are refused rather than stored. */
const MAX_NUMBER = 1000;

/** A pushdown automaton over bytes that may be fed in pieces. UTF-8 is checked elsewhere. */
export class JsonChecker {
  #expecting: Expecting = "value";
  #token: Token = "none";
  /** Text of the number or word being read. */
  #text = "";
  #hexLeft = 0;
  /** What the string being read is. */
  #isKey = false;
  /** Open brackets, innermost last. */
  readonly #stack: number[] = [];
  #offset = 0;

  /** Takes the next bytes; returns the problem as soon as there is one. */
  push(bytes: Uint8Array): JsonProblem {
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i] ?? 0;
      if (this.#token === "string") {
        // The hot loop: nearly all of a large payload is inside strings.
        if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) continue;
        if (byte === QUOTE) this.#endString();
        else if (byte === BACKSLASH) this.#token = "escape";
        else return this.#unexpected(byte, this.#offset + i);
        continue;
      }
      if (!this.#step(byte)) return this.#unexpected(byte, this.#offset + i);
    }
    this.#offset += bytes.length;
    return undefined;
  }

  /** Says that nothing follows. */
  end(): JsonProblem {
    if ((this.#token === "number" || this.#token === "word") && !this.#endScalar()) return this.#incomplete();
    return this.#expecting === "nothing" && this.#token === "none" ? undefined : this.#incomplete();
  }

  #incomplete(): string {
    return `Could not parse payload into json: Unexpected end of JSON input at position ${this.#offset}`;
  }

  #unexpected(byte: number, position: number): string {
    const shown = byte > 0x20 && byte < 0x7f ? `'${String.fromCharCode(byte)}'` : `byte 0x${byte.toString(16).padStart(2, "0")}`;
    return `Could not parse payload into json: Unexpected ${shown} at position ${position}`;
  }

  #step(byte: number): boolean {
    if (this.#token === "escape") return this.#escape(byte);
    if (this.#token === "hex") {
      if (!/[0-9a-fA-F]/.test(String.fromCharCode(byte))) return false;
      this.#hexLeft--;
      if (this.#hexLeft === 0) this.#token = "string";
      return true;
    }
    if (this.#token === "number" || this.#token === "word") {
      if (isScalarByte(byte)) {
        this.#text += String.fromCharCode(byte);
        return this.#text.length <= MAX_NUMBER;
      }
      if (!this.#endScalar()) return false;
    }
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return true;
    return this.#structure(byte);
  }

  #structure(byte: number): boolean {
    switch (this.#expecting) {
      case "value":
        return this.#startValue(byte);
      case "valueOrEnd":
        return byte === CLOSE_ARRAY ? this.#close(OPEN_ARRAY) : this.#startValue(byte);
      case "key":
      case "keyOrEnd":
        if (byte === CLOSE_OBJECT && this.#expecting === "keyOrEnd") return this.#close(OPEN_OBJECT);
        if (byte !== QUOTE) return false;
        this.#token = "string";
        this.#isKey = true;
        return true;
      case "colon":
        this.#expecting = "value";
        return byte === 0x3a;
      case "commaOrEnd": {
        const open = this.#stack.at(-1);
        if (byte === 0x2c) {
          this.#expecting = open === OPEN_OBJECT ? "key" : "value";
          return true;
        }
        if (byte === CLOSE_OBJECT) return this.#close(OPEN_OBJECT);
        return byte === CLOSE_ARRAY && this.#close(OPEN_ARRAY);
      }
      case "nothing":
        return false;
    }
  }

  #startValue(byte: number): boolean {
    if (byte === QUOTE) {
      this.#token = "string";
      this.#isKey = false;
      return true;
    }
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (this.#stack.length === MAX_DEPTH) return false;
      this.#stack.push(byte);
      this.#expecting = byte === OPEN_OBJECT ? "keyOrEnd" : "valueOrEnd";
      return true;
    }
    if (!isScalarByte(byte)) return false;
    this.#token = byte === 0x2d || (byte >= 0x30 && byte <= 0x39) ? "number" : "word";
    this.#text = String.fromCharCode(byte);
    return true;
  }

  #escape(byte: number): boolean {
    if (byte === 0x75) {
      this.#token = "hex";
      this.#hexLeft = 4;
      return true;
    }
    this.#token = "string";
    return '"\\/bfnrt'.includes(String.fromCharCode(byte));
  }

  #endString(): void {
    this.#token = "none";
    if (this.#isKey) this.#expecting = "colon";
    else this.#endValue();
  }

  #endScalar(): boolean {
    const valid =
      this.#token === "number" ? NUMBER.test(this.#text) : this.#text === "true" || this.#text === "false" || this.#text === "null";
    this.#token = "none";
    this.#endValue();
    return valid;
  }

  #close(open: number): boolean {
    if (this.#stack.pop() !== open) return false;
    this.#endValue();
    return true;
  }

  #endValue(): void {
    this.#expecting = this.#stack.length === 0 ? "nothing" : "commaOrEnd";
  }
}

/** Bytes that numbers and the words true, false and null are made of. */
function isScalarByte(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x2d || byte === 0x2b || byte === 0x2e || byte === 0x45
  );
}
