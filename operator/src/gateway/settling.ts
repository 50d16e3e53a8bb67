import type { Clock } from "../kube/clock.ts";
import type { Environment } from "./environment.ts";
import type { FunctionEntry } from "./function-entry.ts";
import type { PoolTaker } from "./pool-taker.ts";

export interface SettlingDeps {
  clock: Clock;
  pools: Pick<PoolTaker, "settled">;
  /** Of this gateway's view of who owns what. */
  epoch(): number;
}

/**
 * What a new owner of a function waits for: until all environments that may run events of the former one have told what they do, knowing
 * of the new owner, or are gone, or their time is over.
 */
export class Settling {
  readonly #deps: SettlingDeps;
  #until: number | undefined;

  constructor(deps: SettlingDeps) {
    this.#deps = deps;
  }

  /** Whether it waits. */
  get active(): boolean {
    return this.#until !== undefined;
  }

  /** @param until monotonic milliseconds; one that has passed is no wait */
  begin(until: number): void {
    this.#until = until > this.#deps.clock.monotonic() ? until : undefined;
  }

  /** Ends the wait if it is over. Returns then those that have told nothing: what they run is not known. */
  end(entry: FunctionEntry, environments: Iterable<Environment>): Environment[] | undefined {
    if (this.#until === undefined) return undefined;
    const { clock, pools } = this.#deps;
    const epoch = this.#deps.epoch();
    const unknown = [...environments].filter(
      (environment) => environment.phase !== "retiring" && environment.phase !== "gone" && !hasAnswered(environment, epoch),
    );
    if (clock.monotonic() < this.#until && (unknown.length > 0 || !pools.settled(entry, epoch))) return undefined;
    this.#until = undefined;
    return unknown;
  }
}

function hasAnswered(environment: Environment & { answered?(epoch: number): boolean }, epoch: number): boolean {
  return environment.answered?.(epoch) ?? environment.connected;
}
