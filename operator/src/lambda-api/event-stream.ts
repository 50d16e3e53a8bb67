/**
 * What InvokeWithResponseStream answers with: messages of AWS's event stream encoding
 * (docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html) with the events of Lambda's API model 2015-03-31.
 */
import { EventStreamCodec } from "@smithy/eventstream-codec";
import type { KappaError } from "../domain/errors.ts";

/** Media type of the answer. */
export const EVENT_STREAM = "application/vnd.amazon.eventstream";

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === "string" ? bytes : Buffer.from(bytes).toString("utf8")),
  (text) => Buffer.from(text, "utf8"),
);

const text = (value: string) => ({ type: "string" as const, value });
/** In the order in which Lambda sends them. */
const event = (name: string, contentType: string) => ({
  ":event-type": text(name),
  ":content-type": text(contentType),
  ":message-type": text("event"),
});

const PAYLOAD_CHUNK = event("PayloadChunk", "application/octet-stream");
const INVOKE_COMPLETE = event("InvokeComplete", "application/json");

/** A part of the response. */
export function payloadChunk(bytes: Uint8Array): Uint8Array {
  return codec.encode({ headers: PAYLOAD_CHUNK, body: bytes });
}

/** The end of a response. `errorDetails` is Lambda's error object. */
export function invokeComplete(of: { errorCode?: string; errorDetails?: string; logResult?: string }): Uint8Array {
  const { errorCode: ErrorCode, errorDetails: ErrorDetails, logResult: LogResult } = of;
  return codec.encode({ headers: INVOKE_COMPLETE, body: Buffer.from(JSON.stringify({ ErrorCode, ErrorDetails, LogResult })) });
}

/** The end of a response that nothing more will come of, though the function is not to blame: clients raise it as an error. */
export function streamError(error: KappaError): Uint8Array {
  const { lambdaType = "ServiceException" } = error.entry;
  const headers = { ":message-type": text("error"), ":error-code": text(lambdaType), ":error-message": text(error.message) };
  return codec.encode({ headers, body: new Uint8Array() });
}
