/** What is known of environments and told of them, apart from the environments themselves. */
import type { Result } from "../api/environment-protocol.ts";
import type { Runnable } from "./function-entry.ts";
import type { Overuse } from "./pod.ts";

/** Why an environment never came to its first event. */
export type StartFailure =
  | { why: "timeout" | "ended" | "failed"; detail: string }
  /** It was ended by what the function did while it was initialised. */
  | { why: "overuse"; overuse: Overuse }
  | { why: "package"; errorType: string; message: string }
  | { why: "refused" };

/** What is counted of an event. */
export type Used = Pick<Result, "durationMs" | "billedMs" | "functionError">;

/** Why an environment of provisioned concurrency cannot take events. */
export interface InitFailure {
  reason: string;
  message: string;
}

/** One pod. */
export interface EnvironmentIdentity {
  namespace: string;
  podName: string;
  podUid: string;
}

/** The pool that a pod was made for, from its annotations. */
export interface PoolOrigin {
  /** Its name in the namespace. */
  name: string;
  /** Tells what the pod was made from. */
  hash: string;
  /** Name of the gateway that made it. */
  madeBy: string;
}

/** What is known of a pod when its environment enters the table. */
export interface EnvironmentFacts {
  owned: boolean;
  /** What it was made for or has become; absent for one that waits in a pool. */
  assignmentId: string | undefined;
  /** What that is, where this gateway still knows it. */
  runnable: Runnable | undefined;
  /** Where it was made for a pool. */
  pool: PoolOrigin | undefined;
  /** The version or alias whose provisioned concurrency it is of. */
  provisioned: string | undefined;
  expectedMs: number;
  /** Epoch milliseconds. */
  createdAt: number;
}
