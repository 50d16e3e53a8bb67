/** Kappa's pools, as the gateways' metrics show them. */
import { waitFor } from "../../cluster/run.ts";
import { type Gateway as Reached, withGateways } from "../../suites/support/gateways.ts";
import type { Runtime } from "../../suites/runtimes/support/functions.ts";

/** A pod may have to be made several times over on a busy machine. */
const FULL_MS = 300_000;
/** What a refill leaves to do: a kubelet reports, a scheduler notes. */
const SETTLE_MS = 500;

export interface Pools {
  /** Waits until the pools of these runtimes have what they should have, all of it ready, and nothing starts. */
  full(runtimes: readonly Runtime[]): Promise<void>;
  /** Environments for which a pod had to be made since the gateways started. */
  misses(): Promise<number>;
}

/** Gives the pools to `use`. */
export const withPools = <T>(use: (pools: Pools) => Promise<T>): Promise<T> =>
  withGateways((gateways) =>
    use({
      full: async (runtimes) => {
        // A forwarded port is closed now and then.
        const look = () => areFull(gateways, runtimes).catch(() => undefined);
        await waitFor(`the pools of ${runtimes.join(", ")} are full`, FULL_MS, look, 200);
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      },
      misses: () => total(gateways, "kappa_pool_misses_total"),
    }),
  );

async function areFull(gateways: readonly Reached[], runtimes: readonly Runtime[]): Promise<true | undefined> {
  for (const runtime of runtimes) {
    const count = (state: string) => total(gateways, "kappa_pool_environments", `runtime="${runtime}"`, `state="${state}"`);
    const [target, warm, starting, warming] = [await count("target"), await count("warm"), await count("starting"), await count("warming")];
    if (target === 0 || warm < target || starting + warming > 0) return undefined;
  }
  return true;
}

async function total(gateways: readonly Reached[], metric: string, ...labels: string[]): Promise<number> {
  const each = await Promise.all(gateways.map((gateway) => gateway.metric(metric, ...labels)));
  return each.reduce((sum, value) => sum + value, 0);
}
