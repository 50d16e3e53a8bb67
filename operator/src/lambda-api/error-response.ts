/** Errors as Lambda's API writes them: rest-json, the type in a header, `Type` and the message in the body. */
import { KappaError } from "../domain/errors.ts";

/** A complete answer with a body of JSON. */
export interface ErrorResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Shapes whose message member is `Message`; the others have `message`. From Lambda's API model, operation Invoke. */
const CAPITAL_MESSAGE = new Set([
  "AccessDeniedException",
  "InvalidRuntimeException",
  "InvalidZipFileException",
  "ResourceNotFoundException",
  "ServiceException",
]);

/** Renders an error of the catalogue. What is no `KappaError` becomes a ServiceException that tells nothing of the inside. */
export function errorResponse(error: unknown, requestId: string): ErrorResponse {
  const known = error instanceof KappaError && error.entry.lambdaType !== undefined ? error : undefined;
  const shown = known ?? new KappaError("K106", "An internal error occurred. Retry the request.");
  const { status = 500, lambdaType = "ServiceException" } = shown.entry;
  // The model puts retryAfterSeconds into the header Retry-After, and only Type, message and Reason into the body.
  const { retryAfterSeconds, ...details } = shown.details;
  const body = JSON.stringify({
    Type: status >= 500 ? "Service" : "User",
    [CAPITAL_MESSAGE.has(lambdaType) ? "Message" : "message"]: shown.message,
    ...details,
  });
  return {
    status,
    headers: {
      "content-type": "application/json",
      "content-length": String(Buffer.byteLength(body)),
      "x-amzn-requestid": requestId,
      "x-amzn-errortype": lambdaType,
      // Leads from a log or a terminal to the remedy in docs/reference/errors.md.
      "x-kappa-error-code": shown.code,
      ...(status === 429 ? { "retry-after": String(retryAfterSeconds ?? 1) } : {}),
    },
    body,
  };
}
