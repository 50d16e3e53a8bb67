import type { FrameType, Result } from "../api/environment-protocol.ts";
import { KappaError } from "../domain/errors.ts";
import type { ReceivedFrame } from "./agent-server.ts";
import type { Used } from "./environment-facts.ts";
import type { Invocation } from "./invocation.ts";
import { failureBody, overused, RESPONSE_TOO_LARGE } from "./platform-errors.ts";
import type { Overuse } from "./pod.ts";
import { ResponseParts } from "./response-parts.ts";

/** One event that an agent was given: what comes back goes to its caller, once. */
export class RunningEvent {
  readonly invocation: Invocation;
  readonly #parts: ResponseParts;
  readonly #sentAt: number;

  /**
   * @param sentAt monotonic milliseconds
   * @param credit tells the agent that so many bytes of a streamed response have left
   */
  constructor(invocation: Invocation, sentAt: number, credit: (bytes: number) => void) {
    this.invocation = invocation;
    this.#sentAt = sentAt;
    this.#parts = new ResponseParts(credit);
  }

  /** Passes a part of the response on. @returns whether the agent keeps to what it may send */
  pass(frame: Extract<ReceivedFrame, { type: typeof FrameType.responseChunk }>): boolean {
    if (!this.#parts.receive(frame.body.length)) return false;
    this.invocation.chunk(frame.body, frame.header.contentType, this.#parts.left);
    return true;
  }

  /** Ends it with the agent's result. */
  answer({ header, body }: Extract<ReceivedFrame, { type: typeof FrameType.result }>): Used {
    this.#parts.end();
    const isTooLarge = header.streamed === true && this.#parts.isLarge;
    if (isTooLarge && !this.invocation.streaming && header.functionError === undefined) {
      const result: Result = { ...header, functionError: "Unhandled", errorType: RESPONSE_TOO_LARGE.errorType };
      this.invocation.finish({ type: "result", result, body: failureBody(RESPONSE_TOO_LARGE) });
      return result;
    }
    this.invocation.finish({ type: "result", result: header, body });
    return header;
  }

  /** Ends it as an error of its function, for which its environment was ended. @param now monotonic milliseconds */
  overuse(overuse: Overuse, now: number): Used {
    this.#parts.end();
    // As far as it can be known from here.
    const durationMs = now - this.#sentAt;
    this.invocation.finish({ type: "functionError", body: failureBody(overused(this.invocation.requestId, overuse)) });
    return { durationMs, billedMs: Math.ceil(durationMs), functionError: "Unhandled" };
  }

  /** Ends it without anything to tell of it. */
  lost(): void {
    this.#parts.end();
    const error = new KappaError("K106", "The execution environment was lost while it processed the event. Retry the request.");
    this.invocation.finish({ type: "refused", error });
  }

  /** It was not taken. */
  requeued(): void {
    this.#parts.end();
  }
}
