import { expect, test } from "vitest";
import { route } from "./routes.ts";

const R = "/2018-06-01/runtime";

test.each<[string, string, ReturnType<typeof route>]>([
  ["GET", `${R}/invocation/next`, { call: "next" }],
  ["POST", `${R}/invocation/abc-1/response`, { call: "response", requestId: "abc-1" }],
  ["POST", `${R}/invocation/abc-1/error`, { call: "error", requestId: "abc-1" }],
  ["POST", `${R}/init/error`, { call: "initError" }],
  ["GET", `${R}/invocation/next?x=1`, { call: "next" }],
  ["POST", `${R}/invocation/next`, { status: 405, allow: "GET" }],
  ["HEAD", `${R}/invocation/next`, { status: 405, allow: "GET" }],
  ["GET", `${R}/invocation/x/response`, { status: 405, allow: "POST" }],
  ["PUT", `${R}/invocation/x/error`, { status: 405, allow: "POST" }],
  ["GET", `${R}/init/error`, { status: 405, allow: "POST" }],
  ["GET", "/nope", { status: 404 }],
  ["GET", `${R}/invocation/x`, { status: 404 }],
  ["POST", `${R}/invocation/x/other`, { status: 404 }],
  ["POST", `${R}/invocation/x/response/more`, { status: 404 }],
  ["GET", "/2020-01-01/extension/register", { status: 404 }],
])("%s %s", (method, url, expected) => {
  expect(route(method, url)).toEqual(expected);
});
