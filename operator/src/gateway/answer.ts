import type { ServerResponse } from "node:http";
import { LATEST } from "../domain/names.ts";
import { errorResponse } from "../lambda-api/error-response.ts";
import type { Outcome } from "./invocation.ts";

/** Status by which an owner says that it is none (any more); only between gateways. */
export const NOT_OWNER_STATUS = 421;

/** Writes how an invocation ended, as Lambda's Invoke operation does. Returns the HTTP status. */
export function answerInvocation(response: ServerResponse, outcome: Outcome, of: { requestId: string; traceId: string }): number {
  switch (outcome.type) {
    case "result":
      return success(response, of, outcome.body, outcome.result.functionError, outcome.result.logTail);
    case "functionError":
      return success(response, of, outcome.body, "Unhandled", undefined);
    case "refused":
      return answerError(response, outcome.error, of.requestId);
    case "notOwner":
      response.writeHead(NOT_OWNER_STATUS, { "content-length": "0" });
      response.end();
      return NOT_OWNER_STATUS;
  }
}

/** Writes an error as Lambda does. Returns the HTTP status. */
export function answerError(response: ServerResponse, error: unknown, requestId: string): number {
  const { status, headers, body } = errorResponse(error, requestId);
  response.writeHead(status, headers);
  response.end(body);
  return status;
}

function success(
  response: ServerResponse,
  { requestId, traceId }: { requestId: string; traceId: string },
  body: Uint8Array,
  functionError: string | undefined,
  logTail: string | undefined,
): number {
  // A flat list of names and values: node writes it without building objects.
  const headers = [
    "content-type",
    "application/json",
    "content-length",
    String(body.length),
    "x-amzn-requestid",
    requestId,
    "x-amz-executed-version",
    LATEST,
    "x-amzn-trace-id",
    traceId,
  ];
  if (functionError !== undefined) headers.push("x-amz-function-error", functionError);
  if (logTail !== undefined) headers.push("x-amz-log-result", logTail);
  response.writeHead(200, headers);
  response.end(body);
  return 200;
}
