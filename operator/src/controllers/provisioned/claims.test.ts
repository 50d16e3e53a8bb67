import fc from "fast-check";
import { expect, test } from "vitest";
import { Claims } from "./claims.ts";
import { grant } from "./grants.ts";

const reserved = (amount: number, created = "") => ({ reserved: amount, created });
const provisioned = (amount: number, created = "") => ({ provisioned: amount, created });

test("what others have set aside is reserved or provisioned, of the same account", () => {
  const claims = new Claims(1000);
  claims.reserve("a/one", reserved(50));
  claims.provision("a/one", provisioned(20));
  claims.provision("a/two", provisioned(7));
  claims.provision("b/three", provisioned(900));
  expect([claims.others("a/new"), claims.others("a/one"), claims.others("a/two"), claims.others("b/three")]).toEqual([57, 7, 50, 0]);
  claims.reserve("a/one", undefined);
  expect(claims.others("a/new")).toBe(27);
  claims.reserve("a/two", reserved(0));
  expect(claims.others("a/new")).toBe(20);
  claims.provision("a/one", provisioned(0));
  claims.reserve("a/two", undefined);
  claims.provision("a/two", undefined);
  expect(claims.others("a/new")).toBe(0);
});

test("a reservation that the account cannot keep sets nothing aside, what its function has provisioned does", () => {
  const claims = new Claims(1000);
  claims.reserve("a/first", reserved(800, "1"));
  expect(claims.reserve("a/second", reserved(500, "2"))).toBe(false);
  claims.provision("a/second", provisioned(30, "2"));
  expect([claims.isReserved("a/first"), claims.isReserved("a/second"), claims.others("a/new")]).toEqual([true, false, 830]);
  expect(claims.reserve("a/first", reserved(400, "1"))).toBe(true);
  expect([claims.isReserved("a/second"), claims.others("a/new")]).toEqual([true, 900]);
});

test("what is provisioned goes when a reservation takes its place, and no more of it than has to", () => {
  const claims = new Claims(1000);
  claims.provision("a/first", provisioned(10, "1"));
  claims.provision("a/large", provisioned(850, "2"));
  claims.provision("b/other", provisioned(850, "2"));
  expect(claims.withdraw("a")).toEqual([]);
  claims.reserve("a/new", reserved(100, "3"));
  expect(claims.withdraw("a")).toEqual(["a/large"]);
  expect([claims.others("a/new"), claims.withdraw("a"), claims.withdraw("b")]).toEqual([10, [], []]);
  // Its own reservation takes nobody's place, itself included.
  claims.reserve("b/other", reserved(900, "2"));
  expect(claims.withdraw("b")).toEqual([]);
});

test("whatever is reserved and provisioned, in whatever turn: the others' minimum is left, and no function has more than its limit", () => {
  const functions = ["a/0", "a/1", "a/2", "a/3"];
  const act = fc.record({
    key: fc.constantFrom(...functions),
    reserved: fc.option(fc.nat(1_000), { nil: undefined, freq: 3 }),
    requested: fc.tuple(fc.nat(600), fc.nat(600)),
    what: fc.constantFrom("reserve", "request", "decide"),
  });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const claims = new Claims(1000);
      const limits = new Map<string, number>();
      const requested = new Map<string, readonly number[]>();
      const granted = new Map<string, number[]>();
      const decide = (key: string) => {
        const demands = (requested.get(key) ?? []).map((amount, index) => {
          const version = String(index);
          return { qualifier: version, kind: "version" as const, version, requested: amount, granted: granted.get(key)?.[index] ?? 0 };
        });
        const cap = limits.get(key);
        const counts = grant(demands, {
          ...(claims.isReserved(key) ? {} : { account: { limit: 1000, others: claims.others(key) } }),
          ...(cap === undefined ? {} : { reserved: cap }),
        }).map(({ count }) => count);
        granted.set(key, counts);
        claims.provision(key, provisioned(sumOf(counts), key));
        if (cap !== undefined) expect(sumOf(counts)).toBeLessThanOrEqual(cap);
      };
      for (const { key, what, ...of } of acts) {
        if (what === "request") requested.set(key, of.requested);
        else if (what === "decide") decide(key);
        else {
          if (of.reserved === undefined) limits.delete(key);
          else limits.set(key, of.reserved);
          if (claims.reserve(key, of.reserved === undefined ? undefined : reserved(of.reserved, key)))
            for (const loser of claims.withdraw("a")) granted.delete(loser);
        }
        expect(claims.others("a/none")).toBeLessThanOrEqual(900);
      }
      // Once all had their turn, another one takes nothing from anybody.
      for (const key of functions) decide(key);
      const before = new Map(granted);
      for (const key of functions) decide(key);
      for (const key of functions)
        for (const [index, count] of (before.get(key) ?? []).entries()) expect(granted.get(key)?.[index]).toBeGreaterThanOrEqual(count);
    }),
    { numRuns: 500 },
  );
});

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0);
