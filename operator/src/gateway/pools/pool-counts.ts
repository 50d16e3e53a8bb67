import type { PoolState } from "../../telemetry/pool-metrics.ts";
import type { Pooled } from "./refill.ts";

/** How many environments pools have and should have, by runtime and state. Pure. */
export function poolCounts(
  environments: readonly Pick<Pooled<unknown>, "pool" | "state">[],
  targets: ReadonlyMap<string, number>,
): { runtime: string; state: PoolState; count: number }[] {
  const counts = new Map<string, { runtime: string; state: PoolState; count: number }>();
  const add = (pool: string, state: PoolState, more: number) => {
    const runtime = runtimeOf(pool);
    const known = counts.get(`${runtime} ${state}`);
    if (known) known.count += more;
    else counts.set(`${runtime} ${state}`, { runtime, state, count: more });
  };
  // What is dead is about to go.
  for (const { pool, state } of environments) if (state !== "dead") add(pool, state, 1);
  for (const [pool, target] of targets) add(pool, "target", target);
  return [...counts.values()];
}

/** `pool/{namespace}/{runtime}/…` */
function runtimeOf(pool: string): string {
  return pool.split("/")[2] ?? "";
}
