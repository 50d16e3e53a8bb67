/** What is said about the kinds that no controller of this version looks at. Pure. */
import { findCondition, setCondition } from "../../api/conditions.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import type { Condition } from "../../api/types.generated.ts";
import type { KubeObject } from "../../kube/index.ts";

/** An object with conditions. */
export interface ConditionedObject extends KubeObject {
  status?: { conditions?: Condition[] };
}

/** The conditions to write, or undefined when the object says so already. */
export function decideNotReconciled(object: ConditionedObject, clock: { now(): number }): Condition[] | undefined {
  if (object.metadata.deletionTimestamp !== undefined) return undefined;
  const former = findCondition(object.status?.conditions, ConditionType.ready);
  const observedGeneration = object.metadata.generation ?? 0;
  if (former?.reason === Reason.notReconciled && former.observedGeneration === observedGeneration) return undefined;
  const message = `This version of Kappa keeps ${object.kind} objects and does nothing with them.`;
  return setCondition(
    former ? [former] : [],
    { type: ConditionType.ready, status: "Unknown", reason: Reason.notReconciled, message, observedGeneration },
    clock,
  );
}
