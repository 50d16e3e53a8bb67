/**
 * Conditions as Kubernetes' API conventions want them: one entry per type, `lastTransitionTime` moves only with `status`,
 * `observedGeneration` says which spec was judged. Every condition that Kappa writes goes through {@link setCondition}.
 */
import type { Condition } from "./types.generated.ts";

/** What a reconciler says; the time of the transition is not for it to decide. */
export type ConditionUpdate = Required<Omit<Condition, "lastTransitionTime">>;

/**
 * The conditions with one of them added or replaced, in a stable order. When nothing changed the result equals the input, so a
 * status that is compared before it is written is not written.
 * @param clock gives epoch milliseconds
 */
export function setCondition(conditions: readonly Condition[] | undefined, update: ConditionUpdate, clock: { now(): number }): Condition[] {
  const former = findCondition(conditions, update.type);
  const lastTransitionTime = former?.status === update.status ? former.lastTransitionTime : timestamp(clock.now());
  const others = (conditions ?? []).filter(({ type }) => type !== update.type);
  return [...others, { ...update, lastTransitionTime }].sort((a, b) => (a.type < b.type ? -1 : 1));
}

/** The condition of a type, if there is one. */
export function findCondition(conditions: readonly Condition[] | undefined, type: string): Condition | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** RFC 3339 with whole seconds: how Kubernetes writes times. */
function timestamp(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d{3}Z$/, "Z");
}
