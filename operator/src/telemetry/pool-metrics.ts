import type { Registry } from "prom-client";
import { counter, gauge, registerCounter, registerGauge } from "./metric-definitions.ts";

/** What a pool has, as the label of `kappa_pool_environments`. */
export type PoolState = "starting" | "warming" | "warm" | "target";

/** Pools of environments, by runtime: there are no more of those than images. */
export const POOL_METRICS = {
  poolEnvironments: gauge(
    "kappa_pool_environments",
    "Environments in the pools that this gateway keeps, by state. `target`: how many there should be.",
    ["runtime", "state"],
  ),
  poolTakes: counter("kappa_pool_takes_total", "Environments taken from pools, by whether their runtime was ready (`warm`) or not yet.", [
    "runtime",
    "state",
  ]),
  poolMisses: counter(
    "kappa_pool_misses_total",
    "Environments for which a pod had to be made. `empty`: none was waiting; `unfit`: the function fits no pool; `refused`: its size was refused lately.",
    ["runtime", "reason"],
  ),
} as const;

export interface PoolMetrics {
  took(runtime: string, warm: boolean): void;
  missed(runtime: string, reason: "empty" | "unfit" | "refused"): void;
  /** Source of the gauge that is read when scraped. Given once. */
  observe(source: () => readonly { runtime: string; state: PoolState; count: number }[]): void;
}

/** Registers them. */
export function registerPoolMetrics(registry: Registry): PoolMetrics {
  const takes = registerCounter(registry, POOL_METRICS.poolTakes);
  const misses = registerCounter(registry, POOL_METRICS.poolMisses);
  return {
    took: (runtime, warm) => takes.inc({ runtime, state: warm ? "warm" : "warming" }),
    missed: (runtime, reason) => misses.inc({ runtime, reason }),
    observe: (source) =>
      void registerGauge(registry, POOL_METRICS.poolEnvironments, (environments) => {
        environments.reset();
        for (const { runtime, state, count } of source()) environments.set({ runtime, state }, count);
      }),
  };
}
