/** Which pods of a provisioned concurrency are made and which are deleted next. Pure. */

/** Pods of one qualifier that start at the same time: a node that starts many at once runs its functions slowly meanwhile. */
export const STARTING_AT_ONCE = 4;

/** A pod of provisioned concurrency, as the plan needs it. */
export interface ProvisionedPod {
  name: string;
  uid: string;
  /** Hash of what it was made from. */
  template: string;
  /** `failed`: its function cannot be initialised. */
  state: "starting" | "unschedulable" | "initialized" | "failed" | "ended";
}

/** Pods that a qualifier is to have of one version. */
export interface Target {
  version: string;
  /** Hash of what they are made from. A pod of another one is replaced. */
  template: string;
  count: number;
}

export interface PlanInput {
  targets: readonly Target[];
  /** All pods that were made for the qualifier, those apart that are being deleted. */
  pods: readonly ProvisionedPod[];
  /** How many may be starting at once. */
  startingAtOnce: number;
}

export interface Plan {
  create: { version: string; template: string }[];
  remove: ProvisionedPod[];
  /** Pods as they should be that can take events. */
  initialized: number;
  /** Pods as they should be for which no node has room. */
  unschedulable: number;
}

/**
 * New pods are made in steps, and a former one goes when a new one can take its place: whoever calls meanwhile finds as many as were
 * declared. Where the cluster has no room for both, the former ones make it.
 */
export function planPods({ targets, pods, startingAtOnce }: PlanInput): Plan {
  const live = pods.filter(({ state }) => state !== "ended");
  const plan: Plan = { create: [], remove: live.filter(({ state }) => state === "failed"), initialized: 0, unschedulable: 0 };
  const whole = live.filter(({ state }) => state !== "failed");
  const wanted = new Set(targets.map(({ template }) => template));
  let starting = whole.filter(({ template, state }) => wanted.has(template) && state !== "initialized").length;
  for (const { version, template, count } of targets) {
    // Those that are furthest stay.
    const own = whole.filter((pod) => pod.template === template).toSorted((a, b) => RANK[a.state] - RANK[b.state]);
    plan.remove.push(...own.slice(count));
    for (const { state } of own.slice(0, count)) {
      if (state === "initialized") plan.initialized++;
      if (state === "unschedulable") plan.unschedulable++;
    }
    for (let missing = count - own.length; missing > 0 && starting < startingAtOnce; missing--, starting++)
      plan.create.push({ version, template });
  }
  const total = targets.reduce((sum, { count }) => sum + count, 0);
  const former = whole.filter(({ template }) => !wanted.has(template)).toSorted((a, b) => RANK[a.state] - RANK[b.state]);
  plan.remove.push(...former.slice(Math.max(0, total - plan.initialized - plan.unschedulable)));
  return plan;
}

const RANK = { initialized: 0, starting: 1, unschedulable: 2, failed: 3, ended: 4 } as const;
