import { MAX_STREAMED, STREAM_WINDOW } from "../api/environment-protocol.ts";
import { MAX_RESPONSE } from "../lambda-api/invoke-request.ts";

/** Credit is told in steps of so many bytes: a frame for each small part would be as much traffic again. */
const CREDIT_BYTES = 64 * 1024;

/** The account of one response that a runtime streams: what came, what left, and what its agent was told of that. All bytes. */
export class ResponseParts {
  readonly #credit: (bytes: number) => void;
  #received = 0;
  #credited = 0;
  /** Left, and not told yet. */
  #owed = 0;
  #over = false;

  /** @param credit tells the agent that so many bytes have left */
  constructor(credit: (bytes: number) => void) {
    this.#credit = credit;
  }

  /** @returns whether the agent keeps to what it may have on the way, which bounds what a slow caller costs */
  receive(bytes: number): boolean {
    this.#received += bytes;
    return this.#received - this.#credited <= STREAM_WINDOW && this.#received <= MAX_STREAMED + STREAM_WINDOW;
  }

  /** Whether it is more than a caller can have who does not take it as a stream. */
  get isLarge(): boolean {
    return this.#received > MAX_RESPONSE;
  }

  /** Bytes have left the gateway. */
  readonly left = (bytes: number): void => {
    this.#owed += bytes;
    if (this.#over || this.#owed < CREDIT_BYTES) return;
    this.#credit(this.#owed);
    this.#credited += this.#owed;
    this.#owed = 0;
  };

  /** The event is over: nobody is told any more. */
  end(): void {
    this.#over = true;
  }
}
