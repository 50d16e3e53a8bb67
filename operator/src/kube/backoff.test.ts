import fc from "fast-check";
import { expect, it } from "vitest";
import { backoffMs } from "./backoff.ts";

it("doubles from the base, stays under the maximum, and is never less than half of either", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.integer({ min: 1, max: 1_000 }),
      fc.integer({ min: 1, max: 600_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (failures, baseMs, maxMs, random) => {
        const delay = backoffMs(failures, { baseMs, maxMs }, () => random);
        const full = Math.min(maxMs, baseMs * 2 ** (failures - 1));
        expect(delay).toBeGreaterThanOrEqual(full / 2);
        expect(delay).toBeLessThanOrEqual(full);
      },
    ),
  );
});

it("is 100, 200, 400 … 1,000 in full", () => {
  const delays = [1, 2, 3, 4, 5, 60].map((failures) => backoffMs(failures, { baseMs: 200, maxMs: 2_000 }, () => 0));
  expect(delays).toEqual([100, 200, 400, 800, 1_000, 1_000]);
});
