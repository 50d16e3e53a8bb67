/** How many environments a pool keeps, as a pure rule: it follows demand, between a floor and a ceiling. All times in milliseconds. */

/** Policy of an installation. */
export interface PoolPolicy {
  /** Environments kept for a runtime that is in use. */
  floor: number;
  /** Most that are kept in one pool. */
  ceiling: number;
  /** Most that are kept in all pools of an account. */
  accountCeiling: number;
  /** A runtime is in use for so long after one of its functions was invoked. */
  usedMs: number;
}

/** What is known of the demand for one pool. */
export interface PoolUse {
  /** When a function that fits it was made or changed last. */
  changedAt: number;
  /** When an environment of a function that fits it was there last; absent when there was none. */
  usedAt: number | undefined;
  /** When an environment was taken, or a pod was made because none was there; ascending. */
  wantedAt: readonly number[];
}

/** Who deploys a function soon tries it. */
const CHANGED_MS = 600_000;
/** Demand is remembered for so long. */
export const DEMAND_MS = 600_000;
/** What is taken within this time cannot be refilled in between: a new pod needs some seconds until its runtime is warm. */
const REFILL_MS = 10_000;

/** How many environments the pool should have; none for what nobody uses. */
export function poolTarget(use: PoolUse, policy: PoolPolicy, now: number): number {
  const changed = now - use.changedAt < CHANGED_MS;
  const used = use.usedAt !== undefined && now - use.usedAt < policy.usedMs;
  if (!changed && !used) return 0;
  return Math.min(Math.max(peak(use.wantedAt, now), policy.floor), policy.ceiling);
}

/** Most that were wanted within the time of a refill. */
function peak(wantedAt: readonly number[], now: number): number {
  const recent = wantedAt.filter((at) => now - at < DEMAND_MS);
  let most = 0;
  let first = 0;
  for (const [index, at] of recent.entries()) {
    while (at - (recent[first] ?? at) >= REFILL_MS) first++;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

/**
 * Divides what an account may have among its pools, those that were used last first: to each its floor, then the rest.
 * @param wanted what each pool should have, by its name
 * @returns the same, no more than `policy.accountCeiling` in all
 */
export function shareOut(
  wanted: ReadonlyMap<string, { target: number; lastAt: number }>,
  policy: Pick<PoolPolicy, "floor" | "accountCeiling">,
): Map<string, number> {
  const order = [...wanted].sort(([a, { lastAt: x }], [b, { lastAt: y }]) => y - x || (a < b ? -1 : 1));
  const given = new Map<string, number>();
  let left = policy.accountCeiling;
  for (const share of [(target: number) => Math.min(target, policy.floor), (target: number) => target])
    for (const [name, { target }] of order) {
      const has = given.get(name) ?? 0;
      const more = Math.min(Math.max(share(target) - has, 0), left);
      given.set(name, has + more);
      left -= more;
    }
  return given;
}
