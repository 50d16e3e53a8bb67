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

/** One event on its way to an environment, and its caller. */
export interface Invocation {
  readonly requestId: string;
  /** ARN as invoked, with qualifier if there was one. */
  readonly invokedArn: string;
  readonly payload: Uint8Array;
  readonly logTail: boolean;
  readonly clientContext?: string;
  readonly traceId: string;
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
  /** Ends it. Called once. */
  finish(outcome: Outcome): void;
}
