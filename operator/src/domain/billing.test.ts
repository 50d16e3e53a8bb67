import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { billedDurationMs, reportLine, reportRecord, type Usage } from "./billing.ts";

const usage = (over: Partial<Usage> = {}): Usage => ({ durationMs: 1.234, memorySizeMb: 128, maxMemoryMb: 40, ...over });

describe("billed duration", () => {
  test.each([
    ["rounds a fraction up", 1.234, undefined, 2],
    ["leaves whole milliseconds alone", 3000, undefined, 3000],
    ["adds the start before it rounds", 1.4, 1.4, 3],
    ["is at least one millisecond", 0, undefined, 1],
    ["does not count noise of the clock", 2.0000000001, undefined, 2],
    ["bills a time-out on a first event with the start on top", 1000, 150.2, 1151],
  ])("%s", (_, durationMs, initDurationMs, billed) => {
    expect(billedDurationMs(initDurationMs === undefined ? { durationMs } : { durationMs, initDurationMs })).toBe(billed);
  });

  test("is never below what was used and never a whole millisecond above it", () => {
    const ms = fc.double({ min: 0, max: 900_000, noNaN: true });
    fc.assert(
      fc.property(ms, ms, (durationMs, initDurationMs) => {
        const billed = billedDurationMs({ durationMs, initDurationMs });
        expect(Number.isInteger(billed)).toBe(true);
        expect(billed).toBeGreaterThanOrEqual(durationMs + initDurationMs - 0.001);
        expect(billed).toBeLessThanOrEqual(Math.max(1, durationMs + initDurationMs + 1));
      }),
    );
  });
});

describe("REPORT line", () => {
  test("has Lambda's fields, separated by tabs", () => {
    expect(reportLine("id", usage({ initDurationMs: 150 }))).toBe(
      "REPORT RequestId: id\tDuration: 1.23 ms\tBilled Duration: 152 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB\tInit Duration: 150.00 ms",
    );
  });

  test("leaves the start out when the environment was warm", () => {
    expect(reportLine("id", usage())).not.toContain("Init");
  });

  test("names a time-out and the type of a failure", () => {
    expect(reportLine("id", usage(), { status: "timeout", errorType: "Sandbox.Timedout" })).toMatch(/\tStatus: timeout$/);
    expect(reportLine("id", usage(), { status: "error", errorType: "Runtime.ExitError" })).toMatch(
      /\tStatus: error\tError Type: Runtime.ExitError$/,
    );
  });

  test("as a record holds the same figures as numbers", () => {
    expect(reportRecord("id", usage({ initDurationMs: 150 }))).toEqual({
      requestId: "id",
      metrics: { durationMs: 1.234, billedDurationMs: 152, memorySizeMB: 128, maxMemoryUsedMB: 40, initDurationMs: 150 },
      status: "success",
    });
    expect(reportRecord("id", usage(), { status: "error", errorType: "Runtime.ExitError" })).toMatchObject({
      status: "error",
      errorType: "Runtime.ExitError",
    });
  });
});
