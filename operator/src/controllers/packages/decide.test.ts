import { describe, expect, test } from "vitest";
import { decideSweep, type SweepObservation, UNREFERENCED_GRACE_MS } from "./decide.ts";

const NOW = 10 * UNREFERENCED_GRACE_MS;
const observation = (special: Partial<SweepObservation>): SweepObservation => ({
  stored: [{ sha256: "a", storedAt: 0 }],
  referenced: new Set(),
  unreferencedSince: new Map(),
  isRecent: () => false,
  now: NOW,
  ...special,
});

describe("decideSweep", () => {
  test("keeps what is referenced, however old", () => {
    const decision = decideSweep(observation({ referenced: new Set(["a"]), unreferencedSince: new Map([["a", 0]]) }));
    expect(decision).toEqual({ remove: [], missing: [], unreferencedSince: new Map() });
  });

  test("begins to count when a package is first seen unreferenced", () => {
    expect(decideSweep(observation({}))).toEqual({ remove: [], missing: [], unreferencedSince: new Map([["a", NOW]]) });
  });

  test("removes a package that nobody referred to for an hour", () => {
    expect(decideSweep(observation({ unreferencedSince: new Map([["a", NOW - UNREFERENCED_GRACE_MS]]) })).remove).toEqual(["a"]);
  });

  test("waits until the hour is over", () => {
    const since = new Map([["a", NOW - UNREFERENCED_GRACE_MS + 1]]);
    expect(decideSweep(observation({ unreferencedSince: since }))).toEqual({ remove: [], missing: [], unreferencedSince: since });
  });

  test("counts anew when a package was referenced in between", () => {
    const before = decideSweep(observation({ unreferencedSince: new Map([["a", 0]]), referenced: new Set(["a"]) }));
    expect(decideSweep(observation({ unreferencedSince: before.unreferencedSince })).remove).toEqual([]);
  });

  test("keeps a package that was stored again lately", () => {
    const stored = [{ sha256: "a", storedAt: NOW - 1000 }];
    expect(decideSweep(observation({ stored, unreferencedSince: new Map([["a", 0]]) })).remove).toEqual([]);
  });

  test("keeps a package that is just being taken in, though no reference to it can be seen", () => {
    expect(decideSweep(observation({ isRecent: () => true, unreferencedSince: new Map([["a", 0]]) })).remove).toEqual([]);
  });

  test("names what is referenced and not stored", () => {
    expect(decideSweep(observation({ referenced: new Set(["a", "b"]) })).missing).toEqual(["b"]);
  });
});
