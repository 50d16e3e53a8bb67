import type { IncomingHttpHeaders } from "node:http";
import { expect, test } from "vitest";
import { KappaError } from "../domain/errors.ts";
import { invokeOperation, parseInvoke as parse } from "./invoke-request.ts";

const path = (name: string, query = "") => `/2015-03-31/functions/${name}/invocations${query}`;
const streamPath = (name: string, query = "") => `/2021-11-15/functions/${name}/response-streaming-invocations${query}`;
const parseInvoke = (target: string, headers: IncomingHttpHeaders) => parse("Invoke", target, headers);

function refusal(act: () => unknown): KappaError {
  try {
    act();
  } catch (error) {
    if (error instanceof KappaError) return error;
  }
  throw new Error("was not refused");
}

test.each([
  ["POST", path("f"), "Invoke"],
  ["POST", path("f", "?Qualifier=1"), "Invoke"],
  ["POST", streamPath("f"), "InvokeWithResponseStream"],
  ["POST", streamPath("f", "?Qualifier=1"), "InvokeWithResponseStream"],
  ["GET", path("f"), undefined],
  ["GET", streamPath("f"), undefined],
  ["POST", "/2015-03-31/functions/f", undefined],
  ["POST", "/2015-03-31/functions/f/response-streaming-invocations", undefined],
  ["POST", "/2021-11-15/functions/f/invocations", undefined],
  ["POST", "/2015-03-31/functions//invocations", undefined],
  ["POST", "/2015-03-31/functions/invocations", undefined],
  ["POST", "/", undefined],
])("%s %s is the operation %s", (method, target, expected) => {
  expect(invokeOperation(method, target)).toBe(expected);
});

test("reads a request for a streamed response as one for any other", () => {
  const target = streamPath("hello%3APROD");
  expect(parse("InvokeWithResponseStream", target, { "x-amz-log-type": "Tail" })).toEqual({
    reference: { functionName: "hello", qualifier: "PROD" },
    type: "RequestResponse",
    streaming: true,
    logTail: true,
  });
  const error = refusal(() => parse("InvokeWithResponseStream", target, { "x-amz-invocation-type": "Event" }));
  expect(error.message).toContain("[RequestResponse, DryRun]");
});

test.each([
  ["a name", "hello", "", { functionName: "hello" }],
  ["a name with an alias", "hello%3APROD", "", { functionName: "hello", qualifier: "PROD" }],
  ["a qualifier in the query", "hello", "?Qualifier=%24LATEST", { functionName: "hello", qualifier: "$LATEST" }],
  ["a partial ARN", "123456789012%3Afunction%3Ahello", "", { functionName: "hello", accountId: "123456789012" }],
  [
    "a full ARN with a version",
    "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ahello%3A7",
    "",
    { functionName: "hello", accountId: "123456789012", region: "us-east-1", qualifier: "7" },
  ],
  [
    "an ARN that was not URL-encoded",
    "arn:aws:lambda:us-east-1:123456789012:function:hello",
    "",
    { functionName: "hello", accountId: "123456789012", region: "us-east-1" },
  ],
  ["an empty qualifier", "hello", "?Qualifier=", { functionName: "hello" }],
])("takes %s", (_, name, query, reference) => {
  expect(parseInvoke(path(name, query), {})).toEqual({ reference, type: "RequestResponse", streaming: false, logTail: false });
});

test("reads type, log type, client context and trace", () => {
  const context = JSON.stringify({ custom: { a: "ü" } });
  const request = parseInvoke(path("f"), {
    "x-amz-invocation-type": "DryRun",
    "x-amz-log-type": "Tail",
    "x-amz-client-context": Buffer.from(context).toString("base64"),
    "x-amzn-trace-id": "Root=1-5759e988-bd862e3fe1be46a994272793",
  });
  expect(request).toMatchObject({
    type: "DryRun",
    logTail: true,
    clientContext: context,
    traceId: "Root=1-5759e988-bd862e3fe1be46a994272793",
  });
});

test.each([
  ["an unknown invocation type", path("f"), { "x-amz-invocation-type": "Later" }, "K103", "at 'invocationType'"],
  ["an unknown log type", path("f"), { "x-amz-log-type": "All" }, "K103", "[None, Tail]"],
  ["a client context that is no JSON", path("f"), { "x-amz-client-context": "bm9wZQ==" }, "K101", "valid Base64-encoded JSON object"],
  ["a client context that is too long", path("f"), { "x-amz-client-context": "A".repeat(3584) }, "K103", "3583"],
  ["a name that is broken URL encoding", path("%E0%A4%A"), {}, "K103", "URL encoding"],
  ["two qualifiers that differ", path("f%3A1", "?Qualifier=2"), {}, "K103", "does not match the specified qualifier"],
])("refuses %s", (_, target, headers, code, text) => {
  const error = refusal(() => parseInvoke(target, headers));
  expect(error.code).toBe(code);
  expect(error.message).toContain(text);
});
