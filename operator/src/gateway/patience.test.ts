import fc from "fast-check";
import { expect, test } from "vitest";
import { type Demand, PATIENCE_MS, Patience } from "./patience.ts";

/** So many callers, and so many environments that were asked for just now. */
const demand = (callers: number, starting: number, ...busyMs: number[]): Demand => ({
  callers,
  startingMs: Array(starting).fill(0),
  busyMs,
});

/** @param startMs how long a pod takes; so short by default that nobody waits for it longer than otherwise */
function known(runMs: number, startMs = 0): Patience {
  const patience = new Patience();
  patience.ran(runMs);
  patience.started(startMs);
  return patience;
}

test("nothing is expected of a function that has not run", () => {
  const patience = new Patience();
  patience.started(1_000);
  expect(patience.areServedSoon(demand(1, 10))).toBe(false);
});

test("as many are served as events fit into the time, by each environment", () => {
  const patience = known(9);
  const fit = PATIENCE_MS / 10;
  expect([patience.areServedSoon(demand(fit, 1)), patience.areServedSoon(demand(fit + 1, 1))]).toEqual([true, false]);
  expect([patience.areServedSoon(demand(2 * fit, 1, 0)), patience.areServedSoon(demand(1, 0))]).toEqual([true, false]);
  expect([patience.areServedSoon(demand(1, 0, PATIENCE_MS - 1)), patience.areServedSoon(demand(1, 0, PATIENCE_MS))]).toEqual([true, false]);
});

test("of a version that has not run the same is expected as of the others", () => {
  const ofFunction = new Patience();
  const former = new Patience(ofFunction);
  const next = new Patience(ofFunction);
  former.started(0);
  expect(next.areServedSoon(demand(50, 1))).toBe(false);
  former.ran(0.5);
  expect(next.areServedSoon(demand(50, 1))).toBe(true);
  next.ran(1_000);
  expect([next.areServedSoon(demand(1, 1)), former.areServedSoon(demand(50, 1))]).toEqual([false, true]);
});

test("what counts is how long events take lately", () => {
  const patience = known(10_000);
  for (let i = 0; i < 40; i++) patience.ran(10);
  expect(patience.areServedSoon(demand(4, 1))).toBe(true);
  for (let i = 0; i < 3; i++) patience.ran(10_000);
  expect(patience.areServedSoon(demand(1, 1))).toBe(false);
});

test("whoever is served within half a start waits, if as many are on their way as run", () => {
  const patience = known(9, 1_000);
  // 500 ms for 50 events: one environment serves them, once it is there.
  expect(patience.areServedSoon(demand(50, 0))).toBe(false);
  expect(patience.areServedSoon(demand(50, 1))).toBe(true);
  expect(patience.areServedSoon(demand(51, 1))).toBe(false);
  // Where three run, three more may start at a time.
  expect([1, 2, 3].map((starting) => patience.areServedSoon(demand(80, starting, 0, 5, 9)))).toEqual([false, false, true]);
  // Of a function none of whose pods was measured the usual time is assumed.
  const unmeasured = new Patience();
  unmeasured.ran(9);
  expect([unmeasured.areServedSoon(demand(50, 1)), unmeasured.areServedSoon(demand(51, 1))]).toEqual([true, false]);
});

test("nobody waits long for another's long event, nor for ever because pods were slow once", () => {
  expect(known(600, 1_000).areServedSoon(demand(1, 0, 10))).toBe(false);
  expect(known(600, 1_000).areServedSoon(demand(2, 1))).toBe(false);
  expect([known(2_400, 60_000).areServedSoon(demand(1, 1)), known(2_500, 60_000).areServedSoon(demand(1, 1))]).toEqual([true, false]);
});

test("events that hang are soon known to take long, though none has ended to say so", () => {
  expect(known(5, 1_000).areServedSoon(demand(50, 4, 3, 4, 5, 6))).toBe(true);
  expect(known(5, 1_000).areServedSoon(demand(70, 4, 600, 700, 800, 900))).toBe(false);
  // A single long one among short ones says nothing of the others.
  expect(known(5, 1_000).areServedSoon(demand(70, 4, 3, 4, 5, 900))).toBe(true);
});

test("a pod that does not come is waited for by no more callers than fit into the shortest patience", () => {
  const patience = known(9, 1_000);
  const late = (callers: number, ms: number) => patience.areServedSoon({ callers, startingMs: [ms], busyMs: [] });
  expect([late(50, 2_999), late(50, 3_000), late(10, 3_000)]).toEqual([true, false, true]);
});

test("a node that makes events and starts slower alike has no more pods made", () => {
  const some = fc.integer({ min: 5, max: 20 }).chain((runMs) =>
    fc.record({
      runMs: fc.constant(runMs),
      callers: fc.integer({ min: 1, max: 200 }),
      starting: fc.integer({ min: 1, max: 50 }),
      busyMs: fc.array(fc.integer({ min: 0, max: runMs }), { maxLength: 20 }),
      slower: fc.integer({ min: 1, max: 4 }),
    }),
  );
  fc.assert(
    fc.property(some, ({ runMs, callers, starting, busyMs, slower }) => {
      fc.pre(starting >= busyMs.length);
      const soon = (factor: number) =>
        known((runMs + 1) * factor - 1, 1_000 * factor).areServedSoon(demand(callers, starting, ...busyMs.map((ms) => ms * factor)));
      // Whoever is served within PATIENCE_MS on the quiet node is so within half a start on the slow one.
      return !soon(1) || soon(slower);
    }),
  );
});
