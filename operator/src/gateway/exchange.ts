import type { ServerResponse } from "node:http";
import { answerError } from "./answer.ts";
import type { OwnAnswer } from "./billing-api.ts";
import type { Budget } from "./http-body.ts";

/** One request and its answer, which is given once. */
export class Exchange {
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly arrivedAt: number;
  /** What its bytes are charged to. */
  readonly held: Budget;
  readonly #answered: (status: number) => void;
  #over = false;
  #whenOver: (() => void) | undefined;

  /**
   * @param of.answered told the status of the answer, once
   * @param of.closed called when the answer has left, or the caller
   */
  constructor(
    response: ServerResponse,
    of: { requestId: string; arrivedAt: number; held: Budget; answered: (status: number) => void; closed: () => void },
  ) {
    this.response = response;
    this.requestId = of.requestId;
    this.arrivedAt = of.arrivedAt;
    this.held = of.held;
    this.#answered = of.answered;
    const { closed } = of;
    response.once("close", () => {
      closed();
      this.abandoned();
    });
  }

  /** Calls back once nobody waits for the answer any more. */
  whenOver(callback: () => void): void {
    if (this.#over) callback();
    else this.#whenOver = callback;
  }

  /** Whether the caller went away before its answer. */
  get isGone(): boolean {
    return this.response.destroyed && !this.response.writableFinished;
  }

  /** Runs a step; what it throws is the answer. */
  attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.refuse(error);
    }
  }

  /** Goes on with a value: at once when it is there, else when it comes. Only called within {@link attempt}. */
  continueWith<T>(value: T | Promise<T>, next: (value: T) => void): void {
    if (value instanceof Promise) value.then(next).catch((error: unknown) => this.refuse(error));
    else next(value);
  }

  refuse(error: unknown): void {
    if (this.isGone) this.abandoned();
    else this.answered(answerError(this.response, error, this.requestId));
  }

  dryRun(version: string): void {
    this.response.writeHead(204, { "x-amzn-requestid": this.requestId, "x-amz-executed-version": version });
    this.response.end();
    this.answered(204);
  }

  whole({ contentType, body }: OwnAnswer): void {
    const { response, requestId } = this;
    response.writeHead(200, {
      "content-type": contentType,
      "content-length": Buffer.byteLength(body),
      "x-amzn-requestid": requestId,
      "cache-control": "no-store",
    });
    response.end(body);
    this.answered(200);
  }

  /** The answer was written. */
  answered(status: number): void {
    if (this.#over) return;
    this.#over = true;
    this.#whenOver?.();
    this.#answered(status);
  }

  /** There is nobody to answer (499 is nginx's status for it). Does nothing once there was an answer. */
  abandoned(): void {
    this.answered(499);
  }
}
