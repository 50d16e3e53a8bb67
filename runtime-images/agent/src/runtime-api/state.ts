/**
 * The state of a runtime as the Runtime API sees it, and what each call does to it: a pure transition function. States, their
 * names and the answers are those of AWS's runtime interface emulator, with which they were compared call by call.
 */
import type { Call } from "./routes.ts";

/**
 * `InvocationResponse` and `InvocationErrorResponse` last while the body of a response arrives; a runtime that sends one call
 * after the other never sees them.
 */
export type RuntimeState =
  | "Started"
  | "InitError"
  | "Ready"
  | "Running"
  | "InvocationResponse"
  | "InvocationErrorResponse"
  | "RuntimeResponseSentState";

/** An answer in the Runtime API's own error format. */
export interface Refusal {
  status: 400 | 403 | 413;
  errorType: "InvalidRequestID" | "InvalidStateTransition" | "InvalidFunctionResponseMode" | "RequestEntityTooLarge";
  errorMessage: string;
}

export const INVALID_RESPONSE_MODE: Refusal = {
  status: 400,
  errorType: "InvalidFunctionResponseMode",
  errorMessage: "Invalid function response mode",
};

export function tooLarge(maxBytes: number): Refusal {
  return { status: 413, errorType: "RequestEntityTooLarge", errorMessage: `Exceeded maximum allowed payload size (${maxBytes} bytes).` };
}

/**
 * What to do with a call: `wait` for an event, give the running event once `again`, `receive` the body, or `refuse`.
 * `state` is the state after it.
 */
export type Decision =
  | { action: "wait" | "again" | "receive"; state: RuntimeState }
  | { action: "refuse"; state: RuntimeState; refusal: Refusal };

/** Where each call leads to, as the emulator names it. */
const TARGET = { next: "Ready", response: "InvocationResponse", error: "InvocationErrorResponse", initError: "InitError" } as const;

/** Whether an event is with the runtime, or its response was the last that happened: the only time at which a request id is valid. */
function hasEvent(state: RuntimeState): boolean {
  return state !== "Started" && state !== "InitError" && state !== "Ready";
}

/**
 * @param currentId request id of the event that the runtime has or had last
 * @param requestId the id that the call names (`response` and `error`)
 */
export function decide(state: RuntimeState, currentId: string | undefined, call: Call, requestId?: string): Decision {
  const refuse = (refusal: Refusal): Decision => ({ action: "refuse", state, refusal });
  // The emulator checks the id before the state.
  if ((call === "response" || call === "error") && (!hasEvent(state) || requestId !== currentId))
    return refuse({ status: 400, errorType: "InvalidRequestID", errorMessage: "Invalid request ID" });
  switch (call) {
    case "next":
      // A client whose connection broke asks again and gets the same event, which it has not answered yet.
      if (state === "Running") return { action: "again", state };
      if (state === "Started" || state === "Ready" || state === "RuntimeResponseSentState") return { action: "wait", state: "Ready" };
      break;
    case "response":
    case "error":
      if (state === "Running") return { action: "receive", state: TARGET[call] };
      break;
    case "initError":
      if (state === "Started") return { action: "receive", state: "InitError" };
  }
  return refuse({
    status: 403,
    errorType: "InvalidStateTransition",
    errorMessage: `State transition from ${state} to ${TARGET[call]} failed for runtime. Error: State transition is not allowed`,
  });
}

/** After the whole body of a call was received. */
export function received(state: RuntimeState): RuntimeState {
  return state === "InvocationResponse" || state === "InvocationErrorResponse" ? "RuntimeResponseSentState" : state;
}

/** After the connection broke before the body was complete: the event is unanswered still. */
export function broken(state: RuntimeState): RuntimeState {
  if (state === "InvocationResponse" || state === "InvocationErrorResponse") return "Running";
  return state === "InitError" ? "Started" : state;
}
