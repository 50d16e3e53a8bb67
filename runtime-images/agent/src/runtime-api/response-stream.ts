/**
 * A response that the runtime streams, on its way to the gateway: passed on as it arrives, and held back when the gateway has not
 * yet given credit for what it got. No I/O of its own.
 */

/** Where the bytes come from. */
export interface StreamSource {
  contentType: string | undefined;
  pause(): void;
  resume(): void;
}

/** How a stream ended. `error`: the runtime said so at its end, in the trailers. `broken`: its connection broke before the end. */
export type StreamEnd = { how: "complete" | "tooLarge" | "broken" } | { how: "error"; errorType: string; body: Uint8Array | undefined };

export interface ResponseStreamOptions {
  source: StreamSource;
  /** Most bytes that are under way without credit. */
  window: number;
  /** Largest response, bytes. */
  max: number;
  /** Passes bytes on. @param first whether they are the first ones */
  send: (bytes: Uint8Array, first: boolean) => void;
  /** Called once, when everything was passed on, unless {@link ResponseStream.abort} came first. */
  onEnd: (end: StreamEnd) => void;
}

export class ResponseStream {
  readonly #options: ResponseStreamOptions;
  /** What has arrived and waits for credit: at most what was read before the source stopped. */
  #held: Uint8Array[] = [];
  #uncredited = 0;
  #total = 0;
  #sent = 0;
  #paused = false;
  /** Nobody takes the bytes any more. */
  #discarding = false;
  #end: StreamEnd | undefined;
  #settled = false;
  #whenOver: (() => void) | undefined;

  constructor(options: ResponseStreamOptions) {
    this.#options = options;
  }

  /** Whether anything was passed on. */
  get started(): boolean {
    return this.#sent > 0;
  }

  /** Whether more came than a response may have. */
  get tooLarge(): boolean {
    return this.#total > this.#options.max;
  }

  /** Takes bytes from the runtime. */
  push(bytes: Uint8Array): void {
    if (this.#end || bytes.length === 0) return;
    const room = this.#options.max - this.#total;
    this.#total += bytes.length;
    if (room > 0) this.#held.push(bytes.subarray(0, room));
    if (this.tooLarge) this.#end = { how: "tooLarge" };
    this.#flush();
  }

  /** The runtime has no more. @param whenOver called when all of it was passed on, after `onEnd` */
  end(end: StreamEnd, whenOver?: () => void): void {
    this.#end ??= end;
    this.#whenOver = whenOver;
    this.#flush();
  }

  /** So many bytes have left the gateway. */
  credit(bytes: number): void {
    this.#uncredited = Math.max(0, this.#uncredited - bytes);
    this.#flush();
  }

  /** The receiver is gone: the runtime goes on and its bytes are dropped. */
  discard(): void {
    this.#discarding = true;
    this.#flush();
  }

  /** The event has ended otherwise: nothing more is passed on. */
  abort(): void {
    this.#settled = true;
    this.#held = [];
  }

  #flush(): void {
    while (this.#passOn());
    if (this.#held.length > 0) this.#hold();
    else this.#release();
    if (this.#end === undefined || this.#held.length > 0) return;
    if (!this.#settled) {
      this.#settled = true;
      this.#options.onEnd(this.#end);
    }
    const whenOver = this.#whenOver;
    this.#whenOver = undefined;
    whenOver?.();
  }

  /** Passes on the first piece when the window has room for it. @returns whether to go on */
  #passOn(): boolean {
    const [next] = this.#held;
    if (next === undefined) return false;
    if (this.#discarding || this.#settled) {
      this.#held.shift();
      return true;
    }
    const { window } = this.#options;
    const room = window - this.#uncredited;
    // Cut only when that fills a good part of the window: else crumbs would go back and forth, each with the credit for the last.
    if (next.length > room && room < window / 2) return false;
    const piece = next.subarray(0, room);
    if (piece.length < next.length) this.#held[0] = next.subarray(room);
    else this.#held.shift();
    const first = !this.started;
    this.#uncredited += piece.length;
    this.#sent += piece.length;
    this.#options.send(piece, first);
    return true;
  }

  #hold(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#options.source.pause();
  }

  #release(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#options.source.resume();
  }
}
