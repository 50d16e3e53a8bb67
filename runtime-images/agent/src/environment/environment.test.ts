/** The pure parts of an environment. */
import { describe, expect, test } from "vitest";
import type { Assignment } from "../../../../operator/src/api/environment-protocol.ts";
import { errorBody, exited, notStarted, RESPONSE_TOO_LARGE, timedOut } from "./failures.ts";
import { statusBytes, toMib } from "./memory.ts";
import { runtimeVariables } from "./variables.ts";

describe("failures are in Lambda's words", () => {
  test.each([
    [{ code: 0, signal: null }, "Runtime exited without providing a reason"],
    [{ code: 1, signal: null }, "Runtime exited with error: exit status 1"],
    [{ code: null, signal: "SIGKILL" }, "Runtime exited with error: signal: killed"],
    [{ code: null, signal: "SIGSEGV" }, "Runtime exited with error: signal: segmentation fault"],
    [{ code: null, signal: "SIGPROF" }, "Runtime exited with error: signal: SIGPROF"],
  ] as const)("%o", (exit, text) => {
    expect(exited("id", { ...exit, outOfMemory: false })).toEqual({
      errorType: "Runtime.ExitError",
      message: `RequestId: id Error: ${text}`,
    });
    expect(exited(undefined, { ...exit, outOfMemory: false }).message).toBe(`Error: ${text}`);
  });

  test("lack of memory is an exit of its own type", () => {
    expect(exited("id", { code: null, signal: "SIGKILL", outOfMemory: true })).toEqual({
      errorType: "Runtime.OutOfMemory",
      message: "RequestId: id Error: Runtime exited with error: signal: killed",
    });
  });

  test("time-outs have two decimals", () => {
    expect(timedOut("id", 900)).toEqual({
      errorType: "Sandbox.Timedout",
      message: "RequestId: id Error: Task timed out after 900.00 seconds",
    });
  });

  test("bodies have Lambda's members in its order", () => {
    expect(Buffer.from(errorBody(RESPONSE_TOO_LARGE)).toString()).toBe(
      '{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}',
    );
    expect(notStarted("id", "spawn ENOENT")).toEqual({
      errorType: "Runtime.InvalidEntrypoint",
      message: "RequestId: id Error: spawn ENOENT",
    });
  });
});

describe("memory", () => {
  const STATUS = "Name:\tpython3\nVmPeak:\t  100 kB\nVmHWM:\t   43008 kB\nVmRSS:\t   41984 kB\n";

  test("is read from the kernel's status", () => {
    expect(toMib(statusBytes(STATUS, "VmHWM"))).toBe(42);
    expect(toMib(statusBytes(STATUS, "VmRSS"))).toBe(41);
  });

  test("of a process that has ended is none", () => {
    expect(statusBytes("Name:\tpython3\nState:\tZ (zombie)\n", "VmHWM")).toBe(0);
  });

  test("is rounded up to whole MB", () => {
    expect([toMib(0), toMib(1), toMib(1024 * 1024), toMib(1024 * 1024 + 1)]).toEqual([0, 1, 1, 2]);
  });
});

test("a function's variables override what Lambda lets them override, and nothing else", () => {
  const assignment: Assignment = {
    assignmentId: "a",
    functionName: "f",
    version: "3",
    functionArn: "arn",
    handler: "app.handler",
    memorySize: 256,
    timeout: 3,
    environment: { TZ: "Europe/Berlin", AWS_REGION: "mine", AWS_LAMBDA_FUNCTION_NAME: "mine", OWN: "1" },
    region: "eu-central-1",
    accountId: "000000000001",
    initializationType: "provisioned-concurrency",
    code: { sha256: "0", size: 1 },
    logging: { format: "JSON", group: "g", stream: "s" },
  };
  const variables = runtimeVariables({
    assignment,
    runtime: "python3.11",
    runtimeApi: "127.0.0.1:9001",
    taskRoot: "/var/task",
    runtimeRoot: "/kappa/runtime",
  });
  expect(variables).toMatchObject({
    TZ: "Europe/Berlin",
    OWN: "1",
    AWS_REGION: "eu-central-1",
    AWS_DEFAULT_REGION: "eu-central-1",
    AWS_LAMBDA_FUNCTION_NAME: "f",
    AWS_LAMBDA_FUNCTION_VERSION: "3",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "256",
    AWS_LAMBDA_INITIALIZATION_TYPE: "provisioned-concurrency",
    AWS_LAMBDA_LOG_FORMAT: "JSON",
    AWS_LAMBDA_LOG_GROUP_NAME: "g",
    AWS_LAMBDA_LOG_STREAM_NAME: "s",
    AWS_LAMBDA_RUNTIME_API: "127.0.0.1:9001",
    LAMBDA_TASK_ROOT: "/var/task",
    LAMBDA_RUNTIME_DIR: "/kappa/runtime",
  });
});
