import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cpuMillis } from "./cpu.ts";

const memory = fc.integer({ min: 128, max: 10_240 });

describe("cpuMillis", () => {
  test.each([
    [128, 73],
    [1769, 1000],
    [3538, 2000],
    [10_240, 5789],
  ])("gives %i MB %i thousandths of a vCPU", (mb, millis) => {
    expect(cpuMillis(mb)).toBe(millis);
  });

  test("never gives less than the exact share, nor a whole thousandth more", () => {
    fc.assert(
      fc.property(memory, (mb) => {
        const exact = (mb * 1000) / 1769;
        expect(cpuMillis(mb)).toBeGreaterThanOrEqual(exact);
        expect(cpuMillis(mb)).toBeLessThan(exact + 1);
      }),
    );
  });

  test("grows with memory", () => {
    fc.assert(fc.property(memory, memory, (a, b) => a > b || cpuMillis(a) <= cpuMillis(b)));
  });
});
