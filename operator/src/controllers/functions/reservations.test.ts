import { expect, test } from "vitest";
import { Reservations } from "./reservations.ts";

const created = (second: number) => `2026-01-01T00:00:0${second}Z`;

test("the oldest are kept, as long as a hundred are left for the others", () => {
  const reservations = new Reservations(1000);
  expect(reservations.update("team", "team/b", { reserved: 500, created: created(2) })).toEqual(["team/b"]);
  expect(reservations.update("team", "team/c", { reserved: 400, created: created(3) })).toEqual(["team/c"]);
  // An older one comes by its name, or grows: it is first.
  expect(reservations.update("team", "team/a", { reserved: 100, created: created(1) })).toEqual(["team/c", "team/a"]);
  expect(["team/a", "team/b", "team/c"].map((key) => reservations.isRefused("team", key))).toEqual([false, false, true]);
  expect(reservations.update("team", "team/b", undefined).toSorted()).toEqual(["team/b", "team/c"]);
  expect(reservations.isRefused("team", "team/b")).toBe(false);
});

test("what is set aside is what is kept, and a change of it is told though the same ones are kept", () => {
  const reservations = new Reservations(1000);
  reservations.update("team", "team/a", { reserved: 800, created: created(1) });
  reservations.update("team", "team/b", { reserved: 500, created: created(2) });
  expect(reservations.kept("team")).toEqual(new Map([["team/a", 800]]));
  expect(reservations.update("team", "team/a", { reserved: 800, created: created(1) })).toEqual([]);
  expect(reservations.update("team", "team/a", { reserved: 700, created: created(1) })).toEqual(["team/a"]);
  expect(reservations.kept("team")).toEqual(new Map([["team/a", 700]]));
  expect(reservations.kept("other")).toEqual(new Map());
});

test("one of zero takes nothing, and accounts do not concern each other", () => {
  const reservations = new Reservations(100);
  reservations.update("team", "team/stopped", { reserved: 0, created: created(1) });
  reservations.update("team", "team/one", { reserved: 1, created: created(1) });
  reservations.update("other", "other/one", { reserved: 0, created: created(1) });
  expect(["stopped", "one"].map((name) => reservations.isRefused("team", `team/${name}`))).toEqual([false, true]);
  expect(reservations.isRefused("other", "other/one")).toBe(false);
});
