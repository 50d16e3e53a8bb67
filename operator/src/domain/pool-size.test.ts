import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type PoolPolicy, type PoolUse, poolTarget, shareOut } from "./pool-size.ts";

const MINUTE = 60_000;
const policy: PoolPolicy = { floor: 1, ceiling: 10, accountCeiling: 20, usedMs: 60 * MINUTE };
const now = 1_000 * MINUTE;
const old: PoolUse = { changedAt: 0, usedAt: undefined, wantedAt: [] };
const times = (count: number, at: number) => Array.from({ length: count }, () => at);

describe("a pool has", () => {
  test.each<[string, Partial<PoolUse>, number]>([
    ["nothing for functions that nobody invokes", {}, 0],
    ["its floor for a function that was just deployed", { changedAt: now - 9 * MINUTE }, 1],
    ["nothing any more when that was not invoked", { changedAt: now - 10 * MINUTE }, 0],
    ["its floor for functions that were invoked within the hour", { usedAt: now - 59 * MINUTE }, 1],
    ["nothing after that", { usedAt: now - 60 * MINUTE }, 0],
    ["as many as were wanted at once", { usedAt: now, wantedAt: times(4, now - MINUTE) }, 4],
    ["the most of several bursts", { usedAt: now, wantedAt: [...times(2, now - 8 * MINUTE), ...times(5, now - 3 * MINUTE), now] }, 5],
    [
      "no more than one for what comes slower than it refills",
      { usedAt: now, wantedAt: [now - 40_000, now - 30_000, now - 20_000, now - 10_000] },
      1,
    ],
    ["its floor when the burst is long over", { usedAt: now, wantedAt: times(7, now - 10 * MINUTE) }, 1],
    ["its ceiling at most", { usedAt: now, wantedAt: times(50, now) }, 10],
  ])("%s", (_, over, target) => {
    expect(poolTarget({ ...old, ...over }, policy, now)).toBe(target);
  });

  test("nothing at all where the ceiling says so", () => {
    expect(poolTarget({ ...old, usedAt: now, wantedAt: times(5, now) }, { ...policy, ceiling: 0 }, now)).toBe(0);
  });
});

describe("an account's pools share its ceiling", () => {
  const pools = (...of: [string, number, number][]) => new Map(of.map(([name, target, lastAt]) => [name, { target, lastAt }]));

  test("each has its floor before any has more", () => {
    const shares = shareOut(pools(["a", 9, 3], ["b", 9, 2], ["c", 1, 1]), { floor: 1, accountCeiling: 6 });
    expect(Object.fromEntries(shares)).toEqual({ a: 4, b: 1, c: 1 });
  });

  test("those that were used last come first", () => {
    const shares = shareOut(pools(["a", 1, 1], ["b", 1, 3], ["c", 1, 2]), { floor: 1, accountCeiling: 2 });
    expect(Object.fromEntries(shares)).toEqual({ a: 0, b: 1, c: 1 });
  });

  test("none gets more than it wants, all together not more than there is, and nothing that is wanted is left over", () => {
    const wanted = fc.array(fc.record({ target: fc.nat(30), lastAt: fc.nat(5) }), { maxLength: 12 });
    fc.assert(
      fc.property(wanted, fc.nat(3), fc.nat(60), (list, floor, accountCeiling) => {
        const asked = new Map(list.map((pool, index) => [`p${index}`, pool]));
        const shares = shareOut(asked, { floor, accountCeiling });
        const sum = [...shares.values()].reduce((a, b) => a + b, 0);
        for (const [name, { target }] of asked) expect(shares.get(name)).toBeLessThanOrEqual(target);
        expect(sum).toBe(
          Math.min(
            accountCeiling,
            list.reduce((all, { target }) => all + target, 0),
          ),
        );
      }),
    );
  });
});
