import type { ServerResponse } from "node:http";
import { KappaError } from "../domain/errors.ts";
import { EVENT_STREAM, invokeComplete, payloadChunk, streamError } from "../lambda-api/event-stream.ts";
import { MAX_RESPONSE } from "../lambda-api/invoke-request.ts";
import { type AnswerOf as AnyAnswerOf, answerError, answerInvocation, answerPayload } from "./answer.ts";
import { GatheredBytes } from "./gathered-bytes.ts";
import type { Budget } from "./http-body.ts";
import type { BytesLeft, Outcome } from "./invocation.ts";

/** What a function streams unless it says otherwise, as AWS's runtime clients have it. */
const DEFAULT_TYPE = "application/octet-stream";

/** Which invocation is answered, and how. */
interface AnswerOf extends AnyAnswerOf {
  /** Whether the caller takes the response as it is produced. */
  streaming: boolean;
}

/** An answer that comes in parts. */
export interface StreamedAnswer {
  /** Takes a part of the response. `left` hears of its bytes when they take no memory here any more. */
  write(bytes: Uint8Array, contentType: string | undefined, left: BytesLeft): void;
  /** Takes the outcome. Returns the HTTP status. */
  end(outcome: Outcome): number;
}

/** Answers with the operation that the caller chose. @param budget what is charged for the bytes that are held here */
export function streamedAnswer(response: ServerResponse, of: AnswerOf, budget: Budget): StreamedAnswer {
  return of.streaming ? new EventStreamAnswer(response, of, budget) : new CollectedAnswer(response, of, budget);
}

/** InvokeWithResponseStream: parts go out as they come; while the caller is slower than the function, they are put together. */
class EventStreamAnswer implements StreamedAnswer {
  readonly #response: ServerResponse;
  readonly #of: AnswerOf;
  readonly #budget: Budget;
  readonly #waiting = new GatheredBytes();
  /** Bytes given to the connection that have not left it. */
  #leaving = 0;
  #left: BytesLeft | undefined;
  #watching = false;

  constructor(response: ServerResponse, of: AnswerOf, budget: Budget) {
    this.#response = response;
    this.#of = of;
    this.#budget = budget;
  }

  write(bytes: Uint8Array, contentType: string | undefined, left: BytesLeft): void {
    // Without a caller the function goes on as it would with one, and what it says goes nowhere.
    if (this.#response.destroyed) return void left(bytes.length);
    if (!this.#budget.take(bytes.length)) {
      // Many callers read slowly; this one is told by its connection's end that the rest is missing.
      this.#response.destroy();
      return void left(bytes.length);
    }
    this.#left = left;
    if (!this.#response.headersSent) this.#head(contentType ?? DEFAULT_TYPE);
    if (this.#leaving > 0) this.#waiting.add(bytes);
    else this.#send(bytes);
  }

  end(outcome: Outcome): number {
    const response = this.#response;
    if (outcome.type === "notOwner" || (outcome.type === "refused" && !response.headersSent))
      return answerInvocation(response, outcome, this.#of);
    if (!response.headersSent) this.#head(outcome.type === "result" ? "application/json" : DEFAULT_TYPE);
    if (this.#waiting.length > 0) {
      this.#leaving += this.#waiting.length;
      response.write(payloadChunk(this.#waiting.take()));
    }
    response.end(this.#last(outcome));
    return 200;
  }

  #last(outcome: Exclude<Outcome, { type: "notOwner" }>): Uint8Array {
    if (outcome.type === "refused") return streamError(outcome.error);
    const { functionError, logTail } = outcome.type === "result" ? outcome.result : { functionError: "Unhandled" };
    if (functionError === undefined && outcome.body.length > 0) this.#response.write(payloadChunk(outcome.body));
    return invokeComplete({
      ...(functionError === undefined ? {} : { errorCode: functionError, errorDetails: Buffer.from(outcome.body).toString("utf8") }),
      ...(logTail === undefined ? {} : { logResult: logTail }),
    });
  }

  #head(contentType: string): void {
    this.#response.writeHead(200, {
      "content-type": EVENT_STREAM,
      "x-amzn-remapped-content-type": contentType,
      "x-amzn-requestid": this.#of.requestId,
      "x-amz-executed-version": this.#of.version,
      "x-amzn-trace-id": this.#of.traceId,
    });
  }

  #send(bytes: Uint8Array): void {
    this.#leaving = bytes.length;
    if (this.#response.write(payloadChunk(bytes))) return void this.#gone();
    if (this.#watching) return;
    this.#watching = true;
    this.#response.on("drain", () => {
      this.#gone();
      if (this.#waiting.length > 0 && !this.#response.writableEnded) this.#send(this.#waiting.take());
    });
    this.#response.once("close", () => {
      this.#leaving += this.#waiting.length;
      this.#waiting.take();
      this.#gone();
    });
  }

  #gone(): void {
    const bytes = this.#leaving;
    this.#leaving = 0;
    if (bytes === 0) return;
    this.#budget.give(bytes);
    this.#left?.(bytes);
  }
}

/** Invoke: the caller of a function that streams gets the whole response at the end. */
class CollectedAnswer implements StreamedAnswer {
  readonly #response: ServerResponse;
  readonly #of: AnswerOf;
  readonly #budget: Budget;
  readonly #parts = new GatheredBytes();
  #contentType: string | undefined;
  #charged = 0;
  /** Nothing more is kept: nobody waits for it, it is too much for this operation, or memory is short. */
  #dropped: "gone" | "tooLarge" | "noMemory" | undefined;

  constructor(response: ServerResponse, of: AnswerOf, budget: Budget) {
    this.#response = response;
    this.#of = of;
    this.#budget = budget;
    response.once("close", () => this.#drop("gone"));
  }

  write(bytes: Uint8Array, contentType: string | undefined, left: BytesLeft): void {
    this.#contentType ??= contentType;
    if (this.#response.destroyed) this.#drop("gone");
    else if (this.#parts.length + bytes.length > MAX_RESPONSE) this.#drop("tooLarge");
    if (this.#dropped === undefined) {
      if (this.#budget.take(bytes.length)) {
        this.#charged += bytes.length;
        this.#parts.add(bytes);
      } else this.#drop("noMemory");
    }
    left(bytes.length);
  }

  end(outcome: Outcome): number {
    if (outcome.type !== "result" || outcome.result.functionError !== undefined) return answerInvocation(this.#response, outcome, this.#of);
    if (this.#dropped === "noMemory") return answerError(this.#response, noMemory(), this.#of.requestId);
    if (outcome.body.length > 0) this.#parts.add(outcome.body);
    return answerPayload(this.#response, this.#of, {
      body: this.#parts.take(),
      contentType: this.#contentType ?? DEFAULT_TYPE,
      logTail: outcome.result.logTail,
    });
  }

  #drop(why: "gone" | "tooLarge" | "noMemory"): void {
    this.#dropped ??= why;
    this.#parts.take();
    this.#budget.give(this.#charged);
    this.#charged = 0;
  }
}

/** The function has run and is billed: it was not throttled. */
function noMemory(): KappaError {
  return new KappaError(
    "K106",
    "The function ran, but there was no memory for its response. Take it by InvokeWithResponseStream, or retry.",
  );
}
