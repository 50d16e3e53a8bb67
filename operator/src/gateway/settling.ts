import type { Clock } from "../kube/clock.ts";
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

  /**
   * Ends the wait if it is over.
   * @param missing environments of the function that have told nothing yet
   * @returns whether it has just ended
   */
  end(entry: FunctionEntry, missing: number): boolean {
    if (this.#until === undefined) return false;
    const { clock, pools, epoch } = this.#deps;
    if (clock.monotonic() < this.#until && (missing > 0 || !pools.settled(entry, epoch()))) return false;
    this.#until = undefined;
    return true;
  }
}
