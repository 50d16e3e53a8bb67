import { EventStreamCodec } from "@smithy/eventstream-codec";
import { expect, test } from "vitest";
import { KappaError } from "../domain/errors.ts";
import { invokeComplete, payloadChunk, streamError } from "./event-stream.ts";

const codec = new EventStreamCodec(
  (bytes) => Buffer.from(bytes as Uint8Array).toString("utf8"),
  (text) => Buffer.from(text, "utf8"),
);
const decoded = (message: Uint8Array) => {
  const { headers, body } = codec.decode(message);
  return {
    headers: Object.fromEntries(Object.entries(headers).map(([name, { value }]) => [name, value])),
    body: Buffer.from(body).toString(),
  };
};

test("a chunk is the bytes themselves", () => {
  expect(decoded(payloadChunk(Buffer.from("größer")))).toEqual({
    headers: { ":message-type": "event", ":event-type": "PayloadChunk", ":content-type": "application/octet-stream" },
    body: "größer",
  });
});

test("the end is what Lambda sends, byte for byte", () => {
  expect(Buffer.from(invokeComplete({})).toString("hex")).toBe(
    "00000066000000541f56c8690b3a6576656e742d7479706507000e496e766f6b65436f6d706c6574650d3a636f6e74656e742d747970650700106170706c69" +
      "636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b7d7006d467",
  );
});

test("the end says nothing of an error where there was none", () => {
  expect(decoded(invokeComplete({})).body).toBe("{}");
  expect(decoded(invokeComplete({ logResult: "TE9H" })).body).toBe('{"LogResult":"TE9H"}');
});

test("the end of a function that failed tells its error", () => {
  expect(decoded(invokeComplete({ errorCode: "Unhandled", errorDetails: '{"errorType":"X"}' }))).toEqual({
    headers: { ":message-type": "event", ":event-type": "InvokeComplete", ":content-type": "application/json" },
    body: '{"ErrorCode":"Unhandled","ErrorDetails":"{\\"errorType\\":\\"X\\"}"}',
  });
});

test("what the platform broke off is an error of the stream", () => {
  expect(decoded(streamError(new KappaError("K106", "lost")))).toEqual({
    headers: { ":message-type": "error", ":error-code": "ServiceException", ":error-message": "lost" },
    body: "",
  });
});
