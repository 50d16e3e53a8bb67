import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../kube/clock.ts";
import { SuspectNodes } from "./suspect-nodes.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a node is under suspicion for a minute since it was last suspected, or until something on it answers", () => {
  const suspects = new SuspectNodes(systemClock);
  suspects.suspect("a");
  suspects.suspect("b");
  vi.advanceTimersByTime(30_000);
  suspects.suspect("a");
  expect(suspects.current()).toEqual(["a", "b"]);
  vi.advanceTimersByTime(30_000);
  expect(suspects.current()).toEqual(["a"]);
  expect(suspects.has("a")).toBe(true);
  suspects.clear("a");
  expect(suspects.has("a")).toBe(false);
});

test("it fell silent after a pod was wanted, unless that was wanted when it was suspected already", () => {
  const suspects = new SuspectNodes(systemClock);
  const before = systemClock.monotonic();
  vi.advanceTimersByTime(1_000);
  expect(suspects.fellSilentAfter(before, "a")).toBe(false);
  suspects.suspect("a");
  vi.advanceTimersByTime(1_000);
  const after = systemClock.monotonic();
  // Suspected again, and still not since then only.
  vi.advanceTimersByTime(1_000);
  suspects.suspect("a");
  expect([before, after, undefined].map((wantedSince) => suspects.fellSilentAfter(wantedSince, "a"))).toEqual([true, false, true]);
  expect(suspects.fellSilentAfter(undefined, "b")).toBe(false);
});

test("a suspicion that ended is not the one that begins later", () => {
  const suspects = new SuspectNodes(systemClock);
  suspects.suspect("a");
  vi.advanceTimersByTime(61_000);
  const between = systemClock.monotonic();
  vi.advanceTimersByTime(1_000);
  suspects.suspect("a");
  expect(suspects.fellSilentAfter(between, "a")).toBe(true);
});
