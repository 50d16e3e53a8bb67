import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Plan, type PlanInput, type ProvisionedPod, planPods } from "./plan.ts";

const pod = (name: string, state: ProvisionedPod["state"], template = "new"): ProvisionedPod => ({
  name,
  uid: `u-${name}`,
  template,
  state,
});
const pods = (state: ProvisionedPod["state"], count: number, template = "new") =>
  Array.from({ length: count }, (_, index) => pod(`${template}-${state}-${index}`, state, template));
const plan = (special: Partial<PlanInput>): Plan =>
  planPods({ targets: [{ version: "1", template: "new", count: 3 }], pods: [], startingAtOnce: 4, ...special });
const removed = ({ remove }: Plan) => remove.map(({ name }) => name).toSorted();

describe("the pods of a provisioned concurrency", () => {
  test("are made until there are as many as were declared", () => {
    expect(plan({}).create).toHaveLength(3);
    expect(plan({ pods: pods("starting", 2) }).create).toHaveLength(1);
    expect(plan({ pods: pods("initialized", 3) })).toEqual({ create: [], remove: [], initialized: 3, unschedulable: 0 });
  });

  test("are made in steps: no more start at once than may", () => {
    const targets = [{ version: "1", template: "new", count: 100 }];
    expect(plan({ targets }).create).toHaveLength(4);
    expect(plan({ targets, pods: [...pods("starting", 3), ...pods("initialized", 10)] }).create).toHaveLength(1);
    expect(plan({ targets, pods: pods("starting", 4) }).create).toHaveLength(0);
  });

  test("that have no room on a node keep others from being made: they would have none either", () => {
    expect(plan({ targets: [{ version: "1", template: "new", count: 9 }], pods: pods("unschedulable", 4) })).toMatchObject({
      create: [],
      unschedulable: 4,
    });
  });

  test("that ended are replaced, and left to be swept", () => {
    expect(plan({ pods: [...pods("initialized", 2), ...pods("ended", 5)] })).toMatchObject({ create: [{ version: "1" }], remove: [] });
  });

  test("whose function cannot be initialised go", () => {
    const decided = plan({ pods: [...pods("initialized", 2), pod("bad", "failed")], startingAtOnce: 0 });
    expect(removed(decided)).toEqual(["bad"]);
    expect(decided.create).toEqual([]);
  });

  test("beyond the declared go, those first that are furthest from taking events", () => {
    expect(removed(plan({ pods: [pod("waits", "starting"), ...pods("initialized", 3)] }))).toEqual(["waits"]);
    expect(removed(plan({ pods: [pod("a", "starting"), pod("b", "unschedulable"), ...pods("initialized", 2)] }))).toEqual(["b"]);
  });

  test("of a former version go one for each new one that can take events", () => {
    const former = pods("initialized", 3, "old");
    const first = plan({ pods: former });
    expect([first.create.length, first.remove.length]).toEqual([3, 0]);
    expect(plan({ pods: [...former, pod("n", "initialized"), ...pods("starting", 2)] }).remove).toHaveLength(1);
    expect(plan({ pods: [...former, ...pods("initialized", 3)] }).remove).toHaveLength(3);
  });

  test("of a former version make room where there is none for the new ones", () => {
    expect(plan({ pods: [...pods("initialized", 3, "old"), pod("n", "unschedulable"), ...pods("starting", 2)] }).remove).toHaveLength(1);
  });

  test("go all when nothing is declared any more", () => {
    expect(plan({ targets: [], pods: [...pods("initialized", 2), ...pods("starting", 1)] }).remove).toHaveLength(3);
  });

  test("of two versions are counted apart", () => {
    const targets = [
      { version: "1", template: "one", count: 2 },
      { version: "2", template: "two", count: 1 },
    ];
    const decided = plan({ targets, pods: pods("initialized", 3, "one") });
    expect(decided).toMatchObject({ create: [{ version: "2", template: "two" }], initialized: 2 });
    expect(decided.remove).toHaveLength(1);
  });

  test("whatever is there: never more than declared and starting, never a pod removed twice, and settled when all is well", () => {
    const state = fc.constantFrom<ProvisionedPod["state"]>("starting", "unschedulable", "initialized", "failed", "ended");
    const any = fc.array(fc.record({ state, template: fc.constantFrom("new", "old", "older") }), { maxLength: 30 });
    fc.assert(
      fc.property(any, fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 5 }), (found, count, startingAtOnce) => {
        const all = found.map((of, index) => pod(`p${index}`, of.state, of.template));
        const decided = plan({ targets: [{ version: "1", template: "new", count }], pods: all, startingAtOnce });
        expect(new Set(removed(decided)).size).toBe(decided.remove.length);
        const left = all.filter((each) => each.state !== "ended" && !decided.remove.includes(each));
        const current = left.filter(({ template }) => template === "new");
        expect(current.length + decided.create.length).toBeLessThanOrEqual(count);
        expect(decided.create.length).toBeLessThanOrEqual(startingAtOnce);
        expect(left.filter(({ state: is }) => is === "initialized").length).toBeGreaterThanOrEqual(
          Math.min(count - decided.unschedulable, all.filter(({ state: is }) => is === "initialized").length),
        );
        if (decided.initialized === count) expect(left.length).toBe(count);
      }),
    );
  });
});
