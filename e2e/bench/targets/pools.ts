/** Kappa's pools, as the gateways' metrics show them. */
import type { Runtime } from "../../suites/runtimes/support/functions.ts";
import { type Gateway as Reached, withGateways } from "../../suites/support/gateways.ts";

/** A pool may have to be made several times over on a busy machine. */
const FULL_MS = 300_000;
const LOOK_MS = 200;
/** What a refill leaves to do: a kubelet reports, a scheduler notes. */
const SETTLE_MS = 500;

const STATES = ["target", "warm", "warming", "starting"] as const;
type Counts = Record<(typeof STATES)[number], number>;

export interface Pools {
  /**
   * Waits until the pool of a runtime has what it should have, all of it ready, and nothing starts.
   * @param others in whose pools nothing starts either; a runtime that no function uses any more has none
   */
  full(runtime: Runtime, others?: readonly Runtime[]): Promise<void>;
  /** Environments for which a pod had to be made since the gateways started. */
  misses(): Promise<number>;
}

/** Gives the pools to `use`. */
export async function withPools<T>(use: (pools: Pools) => Promise<T>): Promise<T> {
  const reach = new Reach();
  try {
    return await use({
      full: async (runtime, others = []) => {
        const runtimes = [runtime, ...others.filter((other) => other !== runtime)];
        for (const end = Date.now() + FULL_MS; ; await new Promise((resolve) => setTimeout(resolve, LOOK_MS))) {
          const counts = await reach.ask((gateways) => Promise.all(runtimes.map((runtime) => countsOf(gateways, runtime))));
          if (counts?.every(isFull) && counts[0] && counts[0].target > 0) break;
          if (Date.now() > end) throw new Error(`the pools of ${runtimes.join(", ")} are not full: ${JSON.stringify(counts)}`);
        }
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      },
      misses: async () => (await reach.ask((gateways) => total(gateways, "kappa_pool_misses_total"))) ?? Number.NaN,
    });
  } finally {
    reach.close();
  }
}

/** The gateways by forwarded ports, which are opened again when they were closed: a gateway may be replaced meanwhile. */
class Reach {
  #open: Promise<readonly Reached[]> | undefined;
  #close = (): void => {};

  /** What the gateways answer; undefined when they could not be reached this time. */
  async ask<T>(question: (gateways: readonly Reached[]) => Promise<T>): Promise<T | undefined> {
    this.#open ??= this.#reach();
    try {
      return await question(await this.#open);
    } catch {
      this.close();
      return undefined;
    }
  }

  close(): void {
    this.#open = undefined;
    this.#close();
  }

  #reach(): Promise<readonly Reached[]> {
    return new Promise((resolve, reject) => {
      const hold = (gateways: readonly Reached[]) =>
        new Promise<void>((close) => {
          this.#close = close;
          resolve(gateways);
        });
      withGateways(hold).catch(reject);
    });
  }
}

const isFull = ({ target, warm, warming, starting }: Counts): boolean => warm >= target && warming + starting === 0;

async function countsOf(gateways: readonly Reached[], runtime: Runtime): Promise<Counts> {
  const counts: Counts = { target: 0, warm: 0, warming: 0, starting: 0 };
  for (const state of STATES) counts[state] = await total(gateways, "kappa_pool_environments", `runtime="${runtime}"`, `state="${state}"`);
  return counts;
}

async function total(gateways: readonly Reached[], metric: string, ...labels: string[]): Promise<number> {
  const each = await Promise.all(gateways.map((gateway) => gateway.metric(metric, ...labels)));
  return each.reduce((sum, value) => sum + value, 0);
}
