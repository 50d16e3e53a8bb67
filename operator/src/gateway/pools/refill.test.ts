import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Pooled, type RefillInput, refill } from "./refill.ts";

const pooled = (environment: string, over: Partial<Pooled<string>> = {}): Pooled<string> => ({
  environment,
  pool: "python",
  current: true,
  state: "warm",
  unschedulable: false,
  ...over,
});
const decide = (over: Partial<RefillInput<string>>) =>
  refill({ targets: new Map([["python", 2]]), environments: [], creating: new Map(), paused: new Set(), starts: 10, ...over });

describe("a pool", () => {
  test("is filled up to its size", () => {
    expect(decide({ environments: [pooled("a")] })).toEqual({ retire: [], create: ["python"] });
  });

  test("is left alone when it has its size", () => {
    expect(decide({ environments: [pooled("a"), pooled("b", { state: "starting" })] })).toEqual({ retire: [], create: [] });
  });

  test("counts pods that are being asked for", () => {
    expect(decide({ environments: [pooled("a")], creating: new Map([["python", 1]]) }).create).toEqual([]);
  });

  test("is filled no quicker than may start, each in turn", () => {
    const targets = new Map([
      ["python", 3],
      ["node", 1],
      ["java", 2],
    ]);
    expect(decide({ targets, starts: 4 }).create).toEqual(["python", "node", "java", "python"]);
    expect(decide({ targets, starts: 0 }).create).toEqual([]);
  });

  test("is not filled while its pods do not start", () => {
    expect(decide({ paused: new Set(["python"]) }).create).toEqual([]);
  });

  test("has what is made from something else replaced", () => {
    expect(decide({ environments: [pooled("old", { current: false }), pooled("a")] })).toEqual({
      retire: [{ environment: "old", why: "stale" }],
      create: ["python"],
    });
  });

  test("has what nobody can use replaced: its gateway is gone", () => {
    expect(decide({ environments: [pooled("a", { state: "dead" }), pooled("b")] })).toEqual({
      retire: [{ environment: "a", why: "dead" }],
      create: ["python"],
    });
  });

  test("gives up what finds no room, and makes no other in its place", () => {
    expect(decide({ environments: [pooled("a", { state: "starting", unschedulable: true })] })).toEqual({
      retire: [{ environment: "a", why: "noRoom" }],
      create: [],
    });
  });

  test("gives up what is too much, what is furthest from its use first", () => {
    const environments = [pooled("a"), pooled("b", { state: "starting" }), pooled("c", { state: "warming" }), pooled("d")];
    expect(decide({ environments }).retire).toEqual([
      { environment: "b", why: "surplus" },
      { environment: "c", why: "surplus" },
    ]);
  });

  test("that nobody wants any more is emptied", () => {
    expect(decide({ targets: new Map(), environments: [pooled("a")] })).toEqual({
      retire: [{ environment: "a", why: "surplus" }],
      create: [],
    });
  });
});

test("no pool ever gets more than its size, nor does more start than may, and nothing both goes and counts", () => {
  const name = fc.constantFrom("a", "b", "c");
  const environment = fc.record({
    environment: fc.string({ minLength: 8, maxLength: 8 }),
    pool: name,
    current: fc.boolean(),
    state: fc.constantFrom("starting" as const, "warming" as const, "warm" as const, "dead" as const),
    unschedulable: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.uniqueArray(environment, { maxLength: 20, selector: (e) => e.environment }),
      fc.dictionary(name, fc.nat(6)),
      fc.dictionary(name, fc.nat(3)),
      fc.nat(5),
      (environments, targets, creating, starts) => {
        const input = {
          environments,
          targets: new Map(Object.entries(targets)),
          creating: new Map(Object.entries(creating)),
          paused: new Set<string>(),
          starts,
        };
        const { retire, create } = refill(input);
        const gone = new Set(retire.map((r) => r.environment));
        expect(gone.size).toBe(retire.length);
        expect(create.length).toBeLessThanOrEqual(starts);
        for (const pool of ["a", "b", "c"]) {
          const left = environments.filter((e) => e.pool === pool && !gone.has(e.environment)).length;
          const target = input.targets.get(pool) ?? 0;
          const made = create.filter((p) => p === pool).length;
          expect(left).toBeLessThanOrEqual(target);
          if (made > 0) expect(left + made + (input.creating.get(pool) ?? 0)).toBeLessThanOrEqual(target);
        }
      },
    ),
  );
});
