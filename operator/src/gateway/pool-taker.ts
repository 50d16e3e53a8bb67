import type { Environment, EnvironmentHost } from "./environment.ts";
import type { FunctionEntry, Runnable } from "./function-entry.ts";

/** An environment that no function has had: it becomes one at once, without a word from the API server. */
export type TakenEnvironment = Environment & {
  /** @param since monotonic milliseconds at which it was wanted */
  become(host: EnvironmentHost, runnable: Runnable, since: number): void;
};

/** The pools, as those who take from them see them. */
export interface PoolTaker {
  /** A connected environment that fits, which then is in no pool any more. */
  take(entry: FunctionEntry, runnable: Runnable): TakenEnvironment | undefined;
  /**
   * Retires one idle environment of whichever pool, so that its room is free.
   * @param namespace only room in this namespace is of use
   * @returns whether there was one
   */
  giveUpOne(namespace?: string): boolean;
  /** Whether every pooled environment that a former owner can have given to this function has told what it is, or is gone. */
  settled(entry: FunctionEntry, epoch: number): boolean;
}

/** For a gateway that keeps no pools. */
export const NO_POOLS: PoolTaker = { take: () => undefined, giveUpOne: () => false, settled: () => true };
