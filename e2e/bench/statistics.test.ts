import fc from "fast-check";
import { expect, test } from "vitest";
import { meanAndSpread, median, medianDifference, percentile, ratios, sorted, summarise } from "./statistics.ts";

test("percentiles lie between neighbours, as R's type 7 has them", () => {
  expect(percentile([1, 2, 3, 4], 50)).toBe(2.5);
  expect(percentile([1, 2, 3, 4, 5], 50)).toBe(3);
  expect(percentile([10, 20], 90)).toBe(19);
  expect(percentile([7], 99.9)).toBe(7);
});

test("numbers are put in the order of their size, not of their digits", () => {
  expect(sorted([10, 9, 100])).toEqual([9, 10, 100]);
});

test("nothing has no percentile", () => {
  expect(median([])).toBeNaN();
});

test("percentiles never leave the series and never fall", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true, min: 0, max: 1e9 }), { minLength: 1 }), (values) => {
      const { p50, p90, p95, p99, p999, max } = summarise(values);
      const told = [p50, p90, p95, p99, p999, max];
      expect(told).toEqual(sorted(told));
      expect(p50).toBeGreaterThanOrEqual(Math.min(...values));
      expect(max).toBe(Math.max(...values));
    }),
  );
});

test("the spread is the sample's standard deviation", () => {
  expect(meanAndSpread([2, 4, 4, 4, 5, 5, 7, 9])).toEqual({ mean: 5, spread: Math.sqrt(32 / 7) });
  expect(meanAndSpread([3])).toEqual({ mean: 3, spread: 0 });
});

test("rounds are compared each with its neighbour, so that a slow machine counts on both sides", () => {
  expect(medianDifference([2, 12, 3], [1, 11, 2])).toBe(1);
  expect(ratios([2, 20], [1, 10])).toEqual([2, 2]);
});

test("rounds without a counterpart are refused", () => {
  expect(() => ratios([1, 2], [1])).toThrow("2 rounds cannot be compared with 1");
});
