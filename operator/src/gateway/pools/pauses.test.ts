import { expect, test } from "vitest";
import { Pauses } from "./pauses.ts";

const paused = (pauses: Pauses, now: number) => pauses.current(now).has("pool");

test("pods of one burst that fail together are one failure; the next one pauses for twice as long", () => {
  const pauses = new Pauses();
  for (let i = 0; i < 5; i++) pauses.failed("pool", 900, 1_000 + i);
  expect([paused(pauses, 15_999), paused(pauses, 16_004)]).toEqual([true, false]);
  pauses.failed("pool", 16_100, 17_000);
  expect([paused(pauses, 46_999), paused(pauses, 47_000)]).toEqual([true, false]);
});

test("an API server that is away pauses for a moment only, however long it is away", () => {
  const pauses = new Pauses();
  for (let now = 0; now < 100_000; now += 2_000) pauses.away("pool", now);
  expect([paused(pauses, 99_999), paused(pauses, 100_000)]).toEqual([true, false]);
});

test("one that started ends the pause, and what is long over is forgotten", () => {
  const pauses = new Pauses();
  pauses.failed("pool", 0, 0);
  pauses.clear("pool");
  expect(paused(pauses, 1)).toBe(false);
  for (const at of [10, 20_000, 60_000]) pauses.failed("pool", at, at);
  expect(paused(pauses, 800_000)).toBe(false);
  pauses.failed("pool", 800_000, 800_000);
  expect(paused(pauses, 815_000)).toBe(false);
});
