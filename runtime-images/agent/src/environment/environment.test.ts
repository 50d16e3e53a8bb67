/** The pure parts of an environment. */
import { describe, expect, test } from "vitest";
import { errorBody, exited, notStarted, RESPONSE_TOO_LARGE, timedOut } from "./failures.ts";
import { statusBytes, toMib } from "./memory.ts";

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
