import { describe, expect, test } from "vitest";
import { type ConditionUpdate, findCondition, setCondition } from "./conditions.ts";

const at = (iso: string) => ({ now: () => Date.parse(iso) });
const ready = (change: Partial<ConditionUpdate> = {}): ConditionUpdate => ({
  type: "Ready",
  status: "True",
  reason: "Active",
  message: "The function can be invoked.",
  observedGeneration: 1,
  ...change,
});
const first = () => setCondition(undefined, ready(), at("2026-01-01T00:00:00.123Z"));

describe("setCondition", () => {
  test("adds a condition with the time of the clock in whole seconds", () => {
    expect(first()).toEqual([{ ...ready(), lastTransitionTime: "2026-01-01T00:00:00Z" }]);
  });

  test("changes nothing when the same is said again later", () => {
    expect(setCondition(first(), ready(), at("2026-01-02T00:00:00Z"))).toEqual(first());
  });

  test("keeps the time of the transition while the status stays, and takes reason, message and generation over", () => {
    const update = ready({ reason: "Updated", message: "Still.", observedGeneration: 2 });
    expect(setCondition(first(), update, at("2026-01-02T00:00:00Z"))).toEqual([{ ...update, lastTransitionTime: "2026-01-01T00:00:00Z" }]);
  });

  test("moves the time of the transition when the status changes", () => {
    const [condition] = setCondition(first(), ready({ status: "False" }), at("2026-01-02T00:00:00Z"));
    expect(condition?.lastTransitionTime).toBe("2026-01-02T00:00:00Z");
  });

  test("leaves other conditions alone and gives the same order whichever came first", () => {
    const other = ready({ type: "PolicyEnforced" });
    const one = setCondition(first(), other, at("2026-01-01T00:00:00Z"));
    const two = setCondition(setCondition(undefined, other, at("2026-01-01T00:00:00Z")), ready(), at("2026-01-01T00:00:00Z"));
    expect(one).toEqual(two);
    expect(one).toHaveLength(2);
  });

  test("does not touch its input", () => {
    const conditions = Object.freeze(first());
    setCondition(conditions, ready({ status: "False" }), at("2026-01-02T00:00:00Z"));
    expect(conditions).toEqual(first());
  });
});

test("findCondition finds by type, and nothing in nothing", () => {
  expect(findCondition(first(), "Ready")?.reason).toBe("Active");
  expect(findCondition(first(), "Other")).toBeUndefined();
  expect(findCondition(undefined, "Ready")).toBeUndefined();
});
