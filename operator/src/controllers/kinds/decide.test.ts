import { describe, expect, test } from "vitest";
import { type ConditionedObject, decideNotReconciled } from "./decide.ts";

const clock = { now: () => Date.parse("2026-01-01T00:00:00Z") };
const object = (special: Partial<ConditionedObject> = {}): ConditionedObject => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Alias",
  metadata: { name: "a", namespace: "n", generation: 2 },
  ...special,
});

describe("decideNotReconciled", () => {
  test("says once that nobody looks at the object", () => {
    expect(decideNotReconciled(object(), clock)).toEqual([
      {
        type: "Ready",
        status: "Unknown",
        reason: "NotReconciled",
        message: "This version of Kappa keeps Alias objects and does nothing with them.",
        observedGeneration: 2,
        lastTransitionTime: "2026-01-01T00:00:00Z",
      },
    ]);
  });

  test("stable: no writes", () => {
    const conditions = decideNotReconciled(object(), clock) ?? [];
    expect(decideNotReconciled(object({ status: { conditions } }), { now: () => Date.now() })).toBeUndefined();
  });

  test("says it of the new generation, without moving the time of the transition", () => {
    const conditions = decideNotReconciled(object(), clock) ?? [];
    const changed = object({ metadata: { name: "a", generation: 3 }, status: { conditions } });
    expect(decideNotReconciled(changed, { now: () => Date.now() })).toEqual([{ ...conditions[0], observedGeneration: 3 }]);
  });

  test("leaves an object alone that is being deleted", () => {
    expect(decideNotReconciled(object({ metadata: { name: "a", deletionTimestamp: "2026-01-01T00:00:00Z" } }), clock)).toBeUndefined();
  });
});
