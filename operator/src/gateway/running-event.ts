import type { FrameType, Result } from "../api/environment-protocol.ts";
import { KappaError } from "../domain/errors.ts";
import type { ReceivedFrame } from "./agent-server.ts";
import type { Used } from "./environment-facts.ts";
import type { Invocation } from "./invocation.ts";
import { failureBody, overused, RESPONSE_TOO_LARGE } from "./platform-errors.ts";
import type { Overuse } from "./pod.ts";
import { ResponseParts } from "./response-parts.ts";

/** The clocks of a node and of the gateway's do not run alike, and a time-out is billed whole, however long it took to enforce. */
const CLOCK_MARGIN_MS = 1_000;

export interface RunningEventOptions {
  invocation: Invocation;
  /** Monotonic milliseconds. */
  sentAt: number;
  /** How much initialization may be in the event's bill, milliseconds. */
  initMs: number;
  /** Tells the agent that so many bytes of a streamed response have left. */
  credit(bytes: number): void;
}

/** One event that an agent was given: what comes back goes to its caller, once. */
export class RunningEvent {
  readonly invocation: Invocation;
  readonly #parts: ResponseParts;
  readonly #sentAt: number;
  readonly #initMs: number;

  constructor({ invocation, sentAt, initMs, credit }: RunningEventOptions) {
    this.invocation = invocation;
    this.#sentAt = sentAt;
    this.#initMs = initMs;
    this.#parts = new ResponseParts(credit);
  }

  /** Passes a part of the response on. @returns whether the agent keeps to what it may send */
  pass(frame: Extract<ReceivedFrame, { type: typeof FrameType.responseChunk }>): boolean {
    if (!this.#parts.receive(frame.body.length)) return false;
    this.invocation.chunk(frame.body, frame.header.contentType, this.#parts.left);
    return true;
  }

  /** Ends it with the agent's result. @param now monotonic milliseconds */
  answer({ header, body }: Extract<ReceivedFrame, { type: typeof FrameType.result }>, now: number): Used {
    this.#parts.end();
    const isTooLarge = header.streamed === true && this.#parts.isLarge;
    if (isTooLarge && !this.invocation.streaming && header.functionError === undefined) {
      const result: Result = { ...header, functionError: "Unhandled", errorType: RESPONSE_TOO_LARGE.errorType };
      this.invocation.finish({ type: "result", result, body: failureBody(RESPONSE_TOO_LARGE) });
      return this.#used(result, now);
    }
    this.invocation.finish({ type: "result", result: header, body });
    return this.#used(header, now);
  }

  /** What the agent measured, which runs beside user code: never more than the time that has passed here. */
  #used(result: Result, now: number): Used {
    const atMost = Math.ceil(now - this.#sentAt) + CLOCK_MARGIN_MS;
    return {
      ...result,
      durationMs: Math.min(result.durationMs, atMost),
      billedMs: Math.min(result.billedMs, atMost + this.#initMs),
    };
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
