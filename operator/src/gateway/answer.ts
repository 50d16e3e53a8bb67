import type { ServerResponse } from "node:http";
import { errorResponse } from "../lambda-api/error-response.ts";
import type { Outcome } from "./invocation.ts";

/** Status by which an owner says that it is none (any more); only between gateways. */
export const NOT_OWNER_STATUS = 421;

/** Which invocation is answered. */
export interface AnswerOf {
  requestId: string;
  /** The one that was run. */
  version: string;
  traceId: string;
}

/** Writes how an invocation ended, as Lambda's Invoke operation does. Returns the HTTP status. */
export function answerInvocation(response: ServerResponse, outcome: Outcome, of: AnswerOf): number {
  switch (outcome.type) {
    case "result":
      return answerPayload(response, of, {
        body: outcome.body,
        functionError: outcome.result.functionError,
        logTail: outcome.result.logTail,
      });
    case "functionError":
      return answerPayload(response, of, { body: outcome.body, functionError: "Unhandled" });
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

/** What a caller gets of an invocation that ran. */
interface Payload {
  body: Uint8Array;
  /** JSON unless a function that streams said otherwise. */
  contentType?: string;
  functionError?: string | undefined;
  logTail?: string | undefined;
}

/** Writes a response, or a function's error. Returns the HTTP status. */
export function answerPayload(
  response: ServerResponse,
  { requestId, version, traceId }: AnswerOf,
  { body, contentType = "application/json", functionError, logTail }: Payload,
): number {
  // A flat list of names and values: node writes it without building objects.
  const headers = [
    "content-type",
    contentType,
    "content-length",
    String(body.length),
    "x-amzn-requestid",
    requestId,
    "x-amz-executed-version",
    version,
    "x-amzn-trace-id",
    traceId,
  ];
  if (functionError !== undefined) headers.push("x-amz-function-error", functionError);
  if (logTail !== undefined) headers.push("x-amz-log-result", logTail);
  response.writeHead(200, headers);
  response.end(body);
  return 200;
}
