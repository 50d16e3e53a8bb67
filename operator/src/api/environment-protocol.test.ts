import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Assignment,
  decodeFrame,
  encodeFrame,
  FRAME_PREFIX,
  type Frame,
  FrameError,
  FrameType,
  type Hello,
  type Invoke,
  MAX_BODY,
  MAX_HEADER,
  type Result,
} from "./environment-protocol.ts";

const text = fc.string({ unit: "grapheme", maxLength: 40 });
const count = fc.nat();
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const state = fc.constantFrom("unassigned", "assigned", "busy", "failed");

/** A value as it looks after a round trip through JSON: without what is undefined. */
const json = <T>(arbitrary: fc.Arbitrary<unknown>) => arbitrary.map((value) => JSON.parse(JSON.stringify(value)) as T);

const hello = json<Hello>(
  fc.record({ protocol: count, token: text, podName: text, namespace: text, runtime: text, state, assignmentId: optional(text) }),
);
const assignment = json<Assignment>(
  fc.record({
    assignmentId: text,
    functionName: text,
    version: text,
    functionArn: text,
    handler: text,
    memorySize: count,
    timeout: count,
    environment: fc.dictionary(text, text, { maxKeys: 5 }),
    region: text,
    accountId: text,
    initializationType: fc.constantFrom("on-demand", "provisioned-concurrency"),
    code: fc.record({ sha256: text, size: count }),
    logging: fc.record({ format: fc.constantFrom("Text", "JSON"), group: text, stream: text }),
  }),
);
const invoke = json<Invoke>(
  fc.record({
    requestId: text,
    deadlineMs: count,
    invokedFunctionArn: text,
    traceId: optional(text),
    clientContext: optional(text),
    logTail: fc.boolean(),
  }),
);
const result = json<Result>(
  fc.record({
    requestId: text,
    functionError: optional(text),
    errorType: optional(text),
    durationMs: fc.double({ noNaN: true, noDefaultInfinity: true }),
    billedMs: count,
    initDurationMs: optional(count),
    maxMemoryMb: count,
    logTail: optional(text),
    reusable: fc.boolean(),
  }),
);

const header = fc.oneof(
  hello.map((value) => ({ type: FrameType.hello, header: value })),
  json<{ members: [] }>(fc.record({ members: fc.array(fc.record({ name: text, address: text }), { maxLength: 4 }) })).map((value) => ({
    type: FrameType.welcome,
    header: value,
  })),
  assignment.map((value) => ({ type: FrameType.assign, header: value })),
  fc.record({ assignmentId: text, initDurationMs: count }).map((value) => ({ type: FrameType.assigned, header: value })),
  fc
    .record({
      assignmentId: text,
      kind: fc.constantFrom("package" as const, "refused" as const),
      errorType: text,
      message: text,
    })
    .map((value) => ({ type: FrameType.assignmentFailed, header: value })),
  invoke.map((value) => ({ type: FrameType.invoke, header: value })),
  result.map((value) => ({ type: FrameType.result, header: value })),
  fc.record({ requestId: text }).map((value) => ({ type: FrameType.busy, header: value })),
  fc
    .record({ reason: fc.constantFrom("idle" as const, "replaced" as const, "failed" as const, "drain" as const) })
    .map((value) => ({ type: FrameType.shutdown, header: value })),
  json<{ state: "busy" }>(fc.record({ state })).map((value) => ({ type: FrameType.stateChange, header: value })),
);
const body = fc.uint8Array({ maxLength: 300 });

describe("a frame that was encoded", () => {
  test("decodes to the same type, header and body, whatever is in them", () => {
    fc.assert(
      fc.property(header, body, (frame, bytes) => {
        const decoded = decodeFrame(encodeFrame({ ...frame, body: bytes } as Frame));
        expect(decoded.type).toBe(frame.type);
        expect(decoded.header).toEqual(frame.header);
        expect(Buffer.from(decoded.body)).toEqual(Buffer.from(bytes));
      }),
    );
  });

  test("has an empty body where none was given", () => {
    const decoded = decodeFrame(encodeFrame({ type: FrameType.busy, header: { requestId: "1" } }));
    expect(decoded.body).toHaveLength(0);
  });

  test("decodes when the message is a view into a larger buffer, as WebSocket libraries hand out", () => {
    const message = encodeFrame({ type: FrameType.busy, header: { requestId: "1" }, body: Buffer.from("body") });
    const larger = Buffer.concat([Buffer.alloc(7, 0xff), message, Buffer.alloc(9, 0xff)]);
    const decoded = decodeFrame(larger.subarray(7, 7 + message.length));
    expect(decoded.header).toEqual({ requestId: "1" });
    expect(Buffer.from(decoded.body).toString()).toBe("body");
  });

  test("gives its body as a view: payloads are not copied", () => {
    const message = encodeFrame({ type: FrameType.busy, header: { requestId: "1" }, body: Buffer.from("body") });
    expect(decodeFrame(message).body.buffer).toBe(message.buffer);
  });

  test("carries Lambda's largest response", () => {
    const largest = new Uint8Array(6_291_556).fill(0x61);
    expect(decodeFrame(encodeFrame({ type: FrameType.busy, header: { requestId: "1" }, body: largest })).body).toHaveLength(6_291_556);
  });
});

describe("a message that is no frame is refused with a FrameError", () => {
  const frame = (type: number, headerLength: number, rest: string | Uint8Array) => {
    const prefix = Buffer.alloc(FRAME_PREFIX);
    prefix.writeUInt8(type, 0);
    prefix.writeUInt32BE(headerLength, 1);
    return Buffer.concat([prefix, Buffer.from(rest)]);
  };

  test.each([
    ["nothing at all", Buffer.alloc(0), /at least 5 bytes, this one has 0/],
    ["a prefix cut short", Buffer.from([1, 0, 0, 0]), /at least 5 bytes, this one has 4/],
    ["a type of another version", frame(99, 2, "{}"), /type 99 is not known/],
    ["type 0", frame(0, 2, "{}"), /type 0 is not known/],
    ["a header longer than the message", frame(FrameType.busy, 3, "{}"), /header length 3 does not fit a message of 7 bytes/],
    ["a header length of four gigabytes", frame(FrameType.busy, 0xffffffff, "{}"), /header length 4294967295 does not fit/],
    ["a header over the limit", frame(FrameType.busy, MAX_HEADER + 1, new Uint8Array(MAX_HEADER + 1)), /header length 262145 does not fit/],
    [
      "a body over the limit",
      frame(FrameType.busy, 2, Buffer.concat([Buffer.from("{}"), Buffer.alloc(MAX_BODY + 1)])),
      /over the limit of 8388608/,
    ],
    ["a header that is no JSON", frame(FrameType.busy, 2, "{]"), /the header is not JSON/],
    ["an empty header", frame(FrameType.busy, 0, ""), /the header is not JSON/],
    ["a header that is a list", frame(FrameType.busy, 2, "[]"), /the header is not an object/],
    ["a header that is null", frame(FrameType.busy, 4, "null"), /the header is not an object/],
    ["a header that is a number", frame(FrameType.busy, 1, "1"), /the header is not an object/],
  ])("%s", (_what, message, error) => {
    expect(() => decodeFrame(message)).toThrow(FrameError);
    expect(() => decodeFrame(message)).toThrow(error);
  });

  test("and nothing else is ever thrown, whatever the bytes", () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      // Mostly valid frames with a byte changed or cut off.
      fc.tuple(header, body, fc.nat(), fc.nat(255), fc.nat()).map(([value, content, at, byte, cut]) => {
        const message = encodeFrame({ ...value, body: content } as Frame);
        message[at % message.length] = byte;
        return message.subarray(0, cut % 3 === 0 ? cut % message.length : message.length);
      }),
    );
    fc.assert(
      fc.property(bytes, (message) => {
        try {
          const decoded = decodeFrame(message);
          expect(Object.values(FrameType)).toContain(decoded.type);
          expect(decoded.header).toBeTypeOf("object");
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
