import type { Result } from "../api/environment-protocol.ts";
import type { KappaError } from "../domain/errors.ts";

/** How an invocation ended. */
export type Outcome =
  /** The runtime answered, or failed in a way of its own. */
  | { type: "result"; result: Result; body: Uint8Array }
  /** The function failed without a runtime to say so: in its initialisation, or killed by the kernel. The body is Lambda's error object. */
  | { type: "functionError"; body: Uint8Array }
  /** It could not be run. */
  | { type: "refused"; error: KappaError }
  /** Another gateway owns the function now. Nothing ran; ask that one. */
  | { type: "notOwner" };

/** Hears how many bytes of a streamed response have left this gateway, or are of no use to anybody any more. */
export type BytesLeft = (bytes: number) => void;

/** What is asked for. */
export interface InvocationRequest {
  readonly requestId: string;
  /** ARN as invoked, with qualifier if there was one. */
  readonly invokedArn: string;
  /** The version that the qualifier stood for when the request came: `$LATEST`, or a number. */
  readonly version: string;
  readonly payload: Uint8Array;
  readonly logTail: boolean;
  /** Whether the caller takes the response as it is produced. */
  readonly streaming: boolean;
  readonly clientContext?: string;
  readonly traceId: string;
}

/** One event on its way to an environment, and its caller. */
export interface Invocation extends InvocationRequest {
  /** Another one, if its alias moved while it waited. */
  version: string;
  /** Monotonic milliseconds of its arrival at this gateway. */
  readonly arrivedAt: number;
  /** The caller went away. What runs goes on, as in Lambda; what waits is dropped. */
  readonly cancelled: boolean;
  /** It had to wait for an environment. */
  readonly waited: boolean;
  /** It has to wait for an environment; until `started`, nothing of it has run. */
  waiting(): void;
  /** It is handed to a runtime. */
  started(): void;
  /**
   * A part of the response, while the function runs.
   * @param contentType of the whole, with the first part
   */
  chunk(bytes: Uint8Array, contentType: string | undefined, left: BytesLeft): void;
  /** Ends it. Called once. */
  finish(outcome: Outcome): void;
}
