/**
 * What a pooled agent proves itself with before it has an assignment (environment-protocol.ts, `Welcome.ticket`). User code runs under the
 * agent's own user and may be able to read its memory, so the ticket is never a string, which could not be erased: it is taken out
 * of a message's bytes before they are parsed, put into the next message's bytes, and overwritten in both.
 */
import { encodeFrame, FRAME_PREFIX, FrameError, FrameType, type Hello } from "../../../../operator/src/api/environment-protocol.ts";

/** As JSON.stringify writes it. A quotation mark within a string is escaped, so nothing else looks like this. */
const MEMBER = Buffer.from('"ticket":"');
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MAX_BYTES = 128;

/** Whether anything else would not be as well: any text that is not empty. */
const BLANK = 0x78;

export class Ticket {
  #bytes: Buffer | undefined;
  #erased = false;

  get known(): boolean {
    return this.#bytes !== undefined;
  }

  /** Takes over what came; once erased there is no other. */
  keep(bytes: Buffer): void {
    if (this.#erased) bytes.fill(0);
    else {
      this.#bytes?.fill(0);
      this.#bytes = bytes;
    }
  }

  /** To be called before anything of a function is on this machine. */
  erase(): void {
    this.#erased = true;
    this.#bytes?.fill(0);
    this.#bytes = undefined;
  }

  /** The first message of a connection, with the ticket where there is one; to be overwritten when it has been sent. */
  hello(header: Omit<Hello, "ticket">): Buffer {
    const message = Buffer.from(encodeFrame({ type: FrameType.hello, header }));
    if (this.#bytes === undefined) return message;
    const end = message.length - 1;
    const whole = Buffer.concat([message.subarray(0, end), Buffer.from(","), MEMBER, this.#bytes, Buffer.from('"}')]);
    whole.writeUInt32BE(whole.length - FRAME_PREFIX, 1);
    return whole;
  }
}

/**
 * Takes the ticket out of a message that may be a welcome.
 * @throws FrameError when it is not one
 */
export function takeTicket(message: Buffer): Buffer | undefined {
  if (message[0] !== FrameType.welcome) return undefined;
  const found = message.indexOf(MEMBER, FRAME_PREFIX);
  if (found < 0) return undefined;
  const start = found + MEMBER.length;
  const end = message.indexOf(QUOTE, start);
  const inPlace = message.subarray(start, end);
  if (end <= start || inPlace.length > MAX_BYTES || inPlace.includes(BACKSLASH)) throw new FrameError('welcome: "ticket" is not valid');
  // Memory of its own: small buffers share theirs, and V8 keeps arrays of up to 64 bytes in its heap, where it moves them and leaves
  // copies (build argument v8_typed_array_max_size_in_heap).
  const ticket = Buffer.from(new ArrayBuffer(inPlace.length));
  inPlace.copy(ticket);
  inPlace.fill(BLANK);
  return ticket;
}
