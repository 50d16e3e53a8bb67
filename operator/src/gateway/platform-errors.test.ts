import { expect, test } from "vitest";
import { initErrorFor } from "./platform-errors.ts";

const of = (error: unknown) => JSON.parse(Buffer.from(initErrorFor("id-1", Buffer.from(JSON.stringify(error)))).toString());

test.each([
  [
    "Runtime.ExitError",
    "Error: Runtime exited with error: exit status 1",
    "RequestId: id-1 Error: Runtime exited with error: exit status 1",
  ],
  ["Runtime.OutOfMemory", "Runtime exited with error: signal: killed", "RequestId: id-1 Error: Runtime exited with error: signal: killed"],
  ["Sandbox.Timedout", "RequestId: id-0 Error: Task timed out", "RequestId: id-0 Error: Task timed out"],
])("%s in an initialisation is told as Lambda words it", (errorType, errorMessage, expected) => {
  expect(of({ errorType, errorMessage })).toEqual({ errorType, errorMessage: expected });
});

test.each([
  { errorType: "Runtime.ImportModuleError", errorMessage: "Error: Cannot find module 'index'", stackTrace: [] },
  { errorType: "ValueError", errorMessage: "Error: of the user's own" },
  { errorType: "Runtime.ExitError", errorMessage: 5 },
  null,
  "text",
])("what the function reported itself is not touched: %j", (error) => {
  expect(of(error)).toEqual(error);
});

test("a body that is no JSON is passed on byte for byte", () => {
  const body = Buffer.from([0xff, 0x7b, 0x00]);
  expect(initErrorFor("id", body)).toBe(body);
});
