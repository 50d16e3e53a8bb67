/** Lambda's words for failures of a function that no runtime could report. Pure. */
import { MAX_RESPONSE } from "../lambda-api/invoke-request.ts";

/** Lambda's error object. */
export interface FunctionFailure {
  errorType: string;
  errorMessage: string;
}

/** The kernel killed the environment as a whole for its memory. */
export function outOfMemory(requestId: string): FunctionFailure {
  return { errorType: "Runtime.OutOfMemory", errorMessage: `RequestId: ${requestId} Error: Runtime exited with error: signal: killed` };
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
