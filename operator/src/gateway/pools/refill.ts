/** What the gateway that keeps an account's pools does about them now, as a pure rule. */

/** An environment that waits in a pool. */
export interface Pooled<E> {
  environment: E;
  /** Name of its pool. */
  pool: string;
  /** Made from what the pool's pods are made from now. */
  current: boolean;
  /** `dead`: the gateway that made it is gone, and its agent has never shown itself to another one. */
  state: "starting" | "warming" | "warm" | "dead";
  /** No node has room for it. */
  unschedulable: boolean;
}

export interface RefillInput<E> {
  /** How many each pool should have. */
  targets: ReadonlyMap<string, number>;
  environments: readonly Pooled<E>[];
  /** Pods being asked for, by pool. */
  creating: ReadonlyMap<string, number>;
  /** Pools whose pods did not start lately. */
  paused: ReadonlySet<string>;
  /** How many more may start now. */
  starts: number;
}

export interface Refill<E> {
  retire: { environment: E; why: "stale" | "surplus" | "dead" | "noRoom" }[];
  /** Names of pools, once for each pod to be made. */
  create: string[];
}

/** Which goes first where there are too many. */
const WORTH = { dead: 0, starting: 1, warming: 2, warm: 3 } as const;

export function refill<E>(input: RefillInput<E>): Refill<E> {
  const retire: Refill<E>["retire"] = [];
  const usable = new Map<string, Pooled<E>[]>();
  for (const pooled of input.environments) {
    const why = uselessness(pooled, input.targets);
    if (why === undefined) usable.set(pooled.pool, [...(usable.get(pooled.pool) ?? []), pooled]);
    else retire.push({ environment: pooled.environment, why });
  }
  const noRoom = new Set(input.environments.filter(({ unschedulable }) => unschedulable).map(({ pool }) => pool));
  const missing: { pool: string; count: number }[] = [];
  for (const [pool, target] of input.targets) {
    const there = usable.get(pool) ?? [];
    const count = target - there.length - (input.creating.get(pool) ?? 0);
    if (count > 0 && !input.paused.has(pool) && !noRoom.has(pool)) missing.push({ pool, count });
    const surplus = there.toSorted((a, b) => WORTH[a.state] - WORTH[b.state]).slice(0, Math.max(0, -count));
    for (const { environment } of surplus) retire.push({ environment, why: "surplus" });
  }
  return { retire, create: inTurns(missing, input.starts) };
}

function uselessness<E>({ pool, current, state, unschedulable }: Pooled<E>, targets: ReadonlyMap<string, number>) {
  if (!current) return "stale";
  // It must never take the room of a function's own pod.
  if (unschedulable) return "noRoom";
  if (state === "dead") return "dead";
  return targets.has(pool) ? undefined : "surplus";
}

/** One pod for each pool before any gets a second one. */
function inTurns(missing: readonly { pool: string; count: number }[], starts: number): string[] {
  const create: string[] = [];
  for (let turn = 0; create.length < starts; turn++) {
    const left = missing.filter(({ count }) => count > turn);
    if (left.length === 0) break;
    for (const { pool } of left.slice(0, starts - create.length)) create.push(pool);
  }
  return create;
}
