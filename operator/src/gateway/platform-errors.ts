/** Lambda's words for failures of a function that no runtime could report. Pure. */
import { MAX_RESPONSE } from "../lambda-api/invoke-request.ts";
import type { Overuse } from "./pod.ts";

/** Lambda's error object. */
export interface FunctionFailure {
  errorType: string;
  errorMessage: string;
}

/** The environment as a whole was ended by what its function did. Lambda's words for memory; there a full /tmp ends nothing. */
export function overused(requestId: string, overuse: Overuse): FunctionFailure {
  const message = `RequestId: ${requestId} Error: `;
  if (overuse.of === "memory")
    return { errorType: "Runtime.OutOfMemory", errorMessage: `${message}Runtime exited with error: signal: killed` };
  return {
    errorType: "Runtime.ExitError",
    errorMessage: `${message}/tmp is full: it held more than the ${overuse.limit} of the function's ephemeralStorage, so its environment was ended`,
  };
}

/** The caller wanted in one piece what the function streamed. */
export const RESPONSE_TOO_LARGE: FunctionFailure = {
  errorType: "Function.ResponseSizeTooLarge",
  errorMessage: `Response payload size exceeded maximum allowed payload size (${MAX_RESPONSE} bytes).`,
};

/** The body that a caller gets. */
export function failureBody(failure: FunctionFailure): Uint8Array {
  return Buffer.from(JSON.stringify(failure));
}
