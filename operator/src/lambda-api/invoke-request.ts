/**
 * The invoke operations on the wire: what a caller asked for, read from path and headers. Lambda's API model 2015-03-31, `Invoke` and
 * `InvokeWithResponseStream`.
 */
import type { IncomingHttpHeaders } from "node:http";
import { type FunctionReference, parseFunctionReference } from "../domain/arns.ts";
import { KappaError } from "../domain/errors.ts";

/** Largest payload of a synchronous invocation, bytes. */
export const MAX_PAYLOAD = 6_291_456;

/** Largest response that is not streamed to its caller, bytes: 6 MiB, and 100 as AWS has it. */
export const MAX_RESPONSE = 6_291_556;

/** Longest client context, bytes of base64. */
const MAX_CLIENT_CONTEXT = 3583;

const MAX_TRACE_ID = 512;

/** The operations that run a function, by name. */
export type InvokeOperation = "Invoke" | "InvokeWithResponseStream";

const PATHS: Readonly<Record<InvokeOperation, { prefix: string; suffix: string }>> = {
  Invoke: { prefix: "/2015-03-31/functions/", suffix: "/invocations" },
  InvokeWithResponseStream: { prefix: "/2021-11-15/functions/", suffix: "/response-streaming-invocations" },
};

/** What a caller wants of which function. */
export interface InvokeRequest {
  reference: FunctionReference;
  type: "RequestResponse" | "Event" | "DryRun";
  /** Whether the response is wanted as it is produced. */
  streaming: boolean;
  /** Whether the end of the log is wanted with the answer. */
  logTail: boolean;
  /** JSON text. */
  clientContext?: string;
  /** X-Ray header as it came. */
  traceId?: string;
}

/** The operation that method and target (path and query as they came) stand for; undefined when it is none of these. */
export function invokeOperation(method: string, target: string): InvokeOperation | undefined {
  if (method !== "POST") return undefined;
  return isOn("Invoke", target) ? "Invoke" : isOn("InvokeWithResponseStream", target) ? "InvokeWithResponseStream" : undefined;
}

function isOn(operation: InvokeOperation, target: string): boolean {
  const { prefix, suffix } = PATHS[operation];
  if (!target.startsWith(prefix)) return false;
  const query = target.indexOf("?");
  const end = query < 0 ? target.length : query;
  return target.startsWith(suffix, end - suffix.length) && end - suffix.length > prefix.length;
}

/**
 * Reads an invoke request.
 * @param operation what {@link invokeOperation} says
 * @param target path and query
 * @throws KappaError K101 or K103 that names the parameter
 */
export function parseInvoke(operation: InvokeOperation, target: string, headers: IncomingHttpHeaders): InvokeRequest {
  const { prefix, suffix } = PATHS[operation];
  const query = target.indexOf("?");
  const end = query < 0 ? target.length : query;
  const name = decode(target.slice(prefix.length, end - suffix.length), "functionName");
  const qualifier = query < 0 ? undefined : qualifierOf(target.slice(query + 1));
  const streaming = operation === "InvokeWithResponseStream";
  const request: InvokeRequest = {
    reference: parseFunctionReference(name, qualifier),
    type: oneOf(headers["x-amz-invocation-type"], "invocationType", streaming ? STREAMING_TYPES : TYPES),
    streaming,
    logTail: oneOf(headers["x-amz-log-type"], "logType", LOG_TYPES) === "Tail",
  };
  const context = single(headers["x-amz-client-context"]);
  if (context !== undefined) request.clientContext = clientContext(context);
  const traceId = single(headers["x-amzn-trace-id"]);
  // Longer than any trace needs: it would only burden everything behind. Lambda makes a new one, too, where one is not usable.
  if (traceId !== undefined && traceId.length <= MAX_TRACE_ID) request.traceId = traceId;
  return request;
}

const TYPES = ["RequestResponse", "Event", "DryRun"] as const;
const STREAMING_TYPES = ["RequestResponse", "DryRun"] as const;
const LOG_TYPES = ["None", "Tail"] as const;

function decode(text: string, member: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new KappaError("K103", `1 validation error detected: Value '${text}' at '${member}' is not valid URL encoding`);
  }
}

function qualifierOf(query: string): string | undefined {
  const value = new URLSearchParams(query).get("Qualifier");
  return value === null || value === "" ? undefined : value;
}

/** The value of a parameter with a fixed set of values; the first is the default. */
function oneOf<T extends string>(header: string | string[] | undefined, member: string, values: readonly [T, ...T[]]): T {
  const text = single(header);
  if (text === undefined || text === "") return values[0];
  const value = values.find((v) => v === text);
  if (value !== undefined) return value;
  throw new KappaError(
    "K103",
    `1 validation error detected: Value '${text}' at '${member}' failed to satisfy constraint: Member must satisfy enum value set: [${values.join(", ")}]`,
  );
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

function clientContext(base64: string): string {
  if (base64.length > MAX_CLIENT_CONTEXT)
    throw new KappaError("K103", `Client context must be no more than ${MAX_CLIENT_CONTEXT} bytes when base64-encoded`);
  const text = Buffer.from(base64, "base64").toString("utf8");
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return text;
  } catch {
    // Answered below like every other thing that is no JSON object.
  }
  throw new KappaError("K101", "Client context must be a valid Base64-encoded JSON object.");
}
