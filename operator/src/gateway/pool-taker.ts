import type { Environment } from "./environment.ts";
import type { FunctionEntry, Runnable } from "./function-entry.ts";

/** The pools, as those who take from them see them. */
export interface PoolTaker {
  /** A connected environment that fits, which then is in no pool any more and is to {@link Environment.become} the function's. */
  take(entry: FunctionEntry, runnable: Runnable): Environment | undefined;
  /** A pod was made, since nothing could be taken. Whoever takes nothing may ask again many times before, or be served otherwise. */
  missed(entry: FunctionEntry, runnable: Runnable): void;
  /**
   * Retires one idle environment of whichever pool, so that its room is free.
   * @param namespace only room in this namespace is of use
   * @returns whether there was one
   */
  giveUpOne(namespace?: string): boolean;
  /** Whether every pooled environment that a former owner can have given to this function has told what it is, or is gone. */
  settled(entry: FunctionEntry, epoch: number): boolean;
}
