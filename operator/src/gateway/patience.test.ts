import { expect, test } from "vitest";
import { PATIENCE_MS, RunTimes } from "./patience.ts";

test("nothing is expected of a function that has not run", () => {
  expect(new RunTimes().areServedSoon(1, 10)).toBe(false);
});

test("as many are served as events fit into the time, by each environment", () => {
  const times = new RunTimes();
  times.add(9);
  expect([times.areServedSoon(PATIENCE_MS / 10, 1), times.areServedSoon(PATIENCE_MS / 10 + 1, 1)]).toEqual([true, false]);
  expect([times.areServedSoon(PATIENCE_MS / 5, 2), times.areServedSoon(1, 0)]).toEqual([true, false]);
});

test("of a version that has not run the same is expected as of the others", () => {
  const ofFunction = new RunTimes();
  const former = new RunTimes(ofFunction);
  const next = new RunTimes(ofFunction);
  expect(next.areServedSoon(50, 1)).toBe(false);
  former.add(0.5);
  expect(next.areServedSoon(50, 1)).toBe(true);
  next.add(1_000);
  expect([next.areServedSoon(1, 1), former.areServedSoon(50, 1)]).toEqual([false, true]);
});

test("what counts is how long events take lately", () => {
  const times = new RunTimes();
  times.add(10_000);
  for (let i = 0; i < 40; i++) times.add(10);
  expect(times.areServedSoon(4, 1)).toBe(true);
  for (let i = 0; i < 3; i++) times.add(10_000);
  expect(times.areServedSoon(1, 1)).toBe(false);
});
