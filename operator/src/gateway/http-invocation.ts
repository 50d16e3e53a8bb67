import type { ServerResponse } from "node:http";
import { answerInvocation } from "./answer.ts";
import type { Budget } from "./http-body.ts";
import type { BytesLeft, Invocation, InvocationRequest, Outcome } from "./invocation.ts";
import { type StreamedAnswer, streamedAnswer } from "./streamed-answer.ts";

/** An invocation that came as an HTTP request and is answered on it, wherever its caller is. */
export abstract class HttpInvocation implements Invocation {
  readonly requestId: string;
  readonly invokedArn: string;
  version: string;
  readonly payload: Uint8Array;
  readonly logTail: boolean;
  readonly streaming: boolean;
  readonly clientContext?: string;
  readonly traceId: string;
  readonly arrivedAt: number;
  waited = false;
  abstract readonly cancelled: boolean;
  readonly #response: ServerResponse;
  readonly #budget: Budget;
  #streamed: StreamedAnswer | undefined;

  /** @param budget what is charged for the parts of its answer that are held here */
  constructor(of: InvocationRequest, arrivedAt: number, response: ServerResponse, budget: Budget) {
    this.requestId = of.requestId;
    this.invokedArn = of.invokedArn;
    this.version = of.version;
    this.payload = of.payload;
    this.logTail = of.logTail;
    this.streaming = of.streaming;
    if (of.clientContext !== undefined) this.clientContext = of.clientContext;
    this.traceId = of.traceId;
    this.arrivedAt = arrivedAt;
    this.#response = response;
    this.#budget = budget;
  }

  waiting(): void {
    this.waited = true;
  }

  abstract started(): void;

  abstract finish(outcome: Outcome): void;

  chunk(bytes: Uint8Array, contentType: string | undefined, left: BytesLeft): void {
    this.#stream().write(bytes, contentType, left);
  }

  /** Writes the answer, or its end. @returns the HTTP status */
  protected answer(outcome: Outcome): number {
    const streamed = this.streaming ? this.#stream() : this.#streamed;
    return streamed ? streamed.end(outcome) : answerInvocation(this.#response, outcome, this);
  }

  #stream(): StreamedAnswer {
    this.#streamed ??= streamedAnswer(this.#response, this, this.#budget);
    return this.#streamed;
  }
}
