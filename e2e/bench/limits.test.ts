import { expect, test } from "vitest";
import { limitsFrom, regressions } from "./limits.ts";

const row = (id: string, ratio: number, more: object = {}) => ({ id, what: "x", target: "", measured: "", ratio, ...more });
const run = { commit: "abc", date: "2026-01-02" };

test("a full run leaves mean and spread of each ratio that has rounds", () => {
  const limits = limitsFrom(
    [row("P1a", 10, { rounds: [9, 10, 11] }), row("P1j", 0.1, { rounds: [0.1, 0.1], higherIsBetter: true }), row("P4", 1)],
    run,
  );
  expect(limits).toEqual({
    ...run,
    ratios: { P1a: { mean: 10, spread: 1, better: "lower" }, P1j: { mean: 0.1, spread: 0, better: "higher" } },
  });
});

test("noise is no regression: it takes twice the mean and four standard deviations", () => {
  const limits = {
    ...run,
    ratios: { P1a: { mean: 10, spread: 1, better: "lower" as const }, P1b: { mean: 10, spread: 5, better: "lower" as const } },
  };
  expect(regressions([row("P1a", 19.9), row("P1b", 29)], limits)).toEqual([]);
  expect(regressions([row("P1a", 20.1), row("P1b", 31)], limits)).toHaveLength(2);
});

test("a rate regresses downwards", () => {
  const limits = { ...run, ratios: { P1j: { mean: 0.1, spread: 0.001, better: "higher" as const } } };
  expect(regressions([row("P1j", 0.06)], limits)).toEqual([]);
  expect(regressions([row("P1j", 0.04)], limits)[0]).toContain("P1j (x): ratio 0.04, expected 0.1 ± 0.001, bound 0.05");
});

test("rows that no limit is known of, or that have no ratio, are left alone", () => {
  expect(regressions([row("new", 99), { id: "P4", what: "", target: "", measured: "" }], { ...run, ratios: {} })).toEqual([]);
});
