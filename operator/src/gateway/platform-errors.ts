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

/** Failures that an agent words, as opposed to those of the user's code and of the runtime's client. */
const WORDED_BY_AGENT: ReadonlySet<unknown> = new Set([
  "Runtime.ExitError",
  "Runtime.OutOfMemory",
  "Runtime.InvalidEntrypoint",
  "Sandbox.Timedout",
]);
const NAMED = "RequestId: ";
const ERROR = "Error: ";

/**
 * The error of an initialisation, for the request that gets it: an agent does not know which one that will be, and Lambda's own words
 * begin with its id. What the function itself reported stays as it is, byte for byte.
 */
export function initErrorFor(requestId: string, body: Uint8Array): Uint8Array {
  let error: unknown;
  try {
    error = JSON.parse(Buffer.from(body).toString("utf8"));
  } catch {
    return body;
  }
  if (typeof error !== "object" || error === null) return body;
  const { errorType, errorMessage } = error as Record<string, unknown>;
  if (!WORDED_BY_AGENT.has(errorType) || typeof errorMessage !== "string" || errorMessage.startsWith(NAMED)) return body;
  const words = errorMessage.startsWith(ERROR) ? errorMessage : ERROR + errorMessage;
  return Buffer.from(JSON.stringify({ ...error, errorMessage: `${NAMED}${requestId} ${words}` }));
}
