/** Checks of what agents send: their side of the protocol runs beside user code and is not believed. */
import { z } from "zod";
import type { Assigned, AssignmentFailed, Busy, Hello, ResponseChunk, Result, StateChange } from "../api/environment-protocol.ts";

/** No event, and no initialization, takes as long as a day. */
const MAX_MS = 24 * 3_600_000;
const name = z.string().min(1).max(253);
const state = z.enum(["warming", "unassigned", "assigned", "busy", "failed"]);

/** First frame of a connection. */
export const HelloHeader: z.ZodType<Hello> = z.object({
  protocol: z.number().int(),
  token: z.string().min(1).max(16_384),
  podName: name,
  namespace: name,
  runtime: z.string().max(64),
  state,
  assignmentId: z.string().max(512).exactOptional(),
  pass: z.string().max(128).exactOptional(),
  ticket: z.string().max(128).exactOptional(),
});

export const AssignedHeader: z.ZodType<Assigned> = z.object({
  assignmentId: z.string().max(512),
  initDurationMs: z.number().min(0).max(MAX_MS),
  initError: z.object({ errorType: z.string().max(512), message: z.string().max(4096) }).exactOptional(),
});

export const AssignmentFailedHeader: z.ZodType<AssignmentFailed> = z.object({
  assignmentId: z.string().max(512),
  kind: z.enum(["package", "refused"]),
  errorType: z.string().max(512),
  message: z.string().max(65_536),
});

export const BusyHeader: z.ZodType<Busy> = z.object({ requestId: z.string().max(128) });

export const StateChangeHeader: z.ZodType<StateChange> = z.object({
  state,
  epoch: z.number().int().min(0),
  assignmentId: z.string().max(512).exactOptional(),
  pass: z.string().max(128).exactOptional(),
});

/** Largest log tail: 4 KB in base64. */
const MAX_LOG_TAIL = 5464;

/**
 * Whether a header is a result's. By hand, because it is on every invocation's way: what goes into the answer's headers must not
 * be able to break out of them, and numbers must be numbers.
 */
export function isResult(header: object): header is Result {
  const h = header as Record<string, unknown>;
  return (
    typeof h.requestId === "string" &&
    isAmount(h.durationMs) &&
    Number.isInteger(h.billedMs) &&
    isAmount(h.billedMs) &&
    isAmount(h.maxMemoryMb) &&
    (h.initDurationMs === undefined || isAmount(h.initDurationMs)) &&
    typeof h.reusable === "boolean" &&
    (h.streamed === undefined || typeof h.streamed === "boolean") &&
    (h.functionError === undefined || h.functionError === "Unhandled" || h.functionError === "Handled") &&
    (h.errorType === undefined || typeof h.errorType === "string") &&
    (h.logTail === undefined ||
      (typeof h.logTail === "string" && h.logTail.length <= MAX_LOG_TAIL && /^[A-Za-z0-9+/]*={0,2}$/.test(h.logTail)))
  );
}

/** What may stand in a header of an answer. */
const CONTENT_TYPE = /^[\x20-\x7e]{1,256}$/;

/** Whether a header is that of a part of a response. By hand, because there may be thousands in one response. */
export function isResponseChunk(header: object): header is ResponseChunk {
  const h = header as Record<string, unknown>;
  return (
    typeof h.requestId === "string" &&
    (h.contentType === undefined || (typeof h.contentType === "string" && CONTENT_TYPE.test(h.contentType)))
  );
}

function isAmount(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= MAX_MS;
}
