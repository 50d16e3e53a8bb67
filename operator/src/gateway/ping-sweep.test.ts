import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../kube/clock.ts";
import { PingSweep } from "./ping-sweep.ts";

let sweep: PingSweep;
let pings: number;
let losses: number;

beforeEach(() => {
  vi.useFakeTimers();
  [pings, losses] = [0, 0];
  sweep = new PingSweep({ clock: systemClock, pingMs: 2_000, silentMs: 5_000 });
  sweep.start();
});
afterEach(() => {
  sweep.stop();
  vi.useRealTimers();
});

const watch = () =>
  sweep.add(
    () => pings++,
    () => losses++,
  );

test("a connection that talks is not asked", () => {
  const liveness = watch();
  for (let i = 0; i < 10; i++) {
    vi.advanceTimersByTime(1_000);
    liveness.seen();
  }
  expect([pings, losses]).toEqual([0, 0]);
});

test("a silent one is asked, and given up once", () => {
  watch();
  vi.advanceTimersByTime(4_000);
  expect([pings > 0, losses]).toEqual([true, 0]);
  vi.advanceTimersByTime(10_000);
  expect(losses).toBe(1);
});

test("one that answers stays", () => {
  const liveness = sweep.add(
    () => liveness.seen(),
    () => losses++,
  );
  vi.advanceTimersByTime(60_000);
  expect(losses).toBe(0);
});

test("when this process was stopped for a while nobody else is blamed", () => {
  const liveness = sweep.add(
    () => liveness.seen(),
    () => losses++,
  );
  vi.advanceTimersByTime(1_000);
  // The machine sleeps: time passes, timers do not run.
  vi.setSystemTime(Date.now() + 60_000);
  const now = performance.now();
  const spy = vi.spyOn(performance, "now").mockImplementation(() => now + 60_000);
  vi.advanceTimersByTime(1_000);
  expect(losses).toBe(0);
  spy.mockRestore();
});

test("what was removed is left alone", () => {
  watch().remove();
  vi.advanceTimersByTime(60_000);
  expect([pings, losses]).toEqual([0, 0]);
});
