/** What the status of a provisioned concurrency says, and how a pod of one is seen. Pure. */
import type { ProvisionedConcurrencyStatus } from "../../api/types.generated.ts";
import { Annotation, INITIALIZED_CONDITION } from "../../resources/labels.ts";
import { isSame } from "../matches.ts";
import type { PodObject } from "../pods/decide.ts";
import { cut, lambdaTime, MAX_REASON } from "../status.ts";
import type { ProvisionedPod } from "./plan.ts";

/** After how long a start that failed is tried again, milliseconds: twice as long after each further failure. */
const RETRY_MS = { base: 10_000, max: 300_000 };

/** How an environment's start failed lately. */
export interface Failure {
  times: number;
  reason: string;
  /** When the last one was seen, epoch milliseconds. */
  at: number;
}

/** Milliseconds until a start is tried again, 0 when it may be now. */
export function retryIn(failure: Failure | undefined, now: number): number {
  if (failure === undefined) return 0;
  return Math.max(0, failure.at + Math.min(RETRY_MS.max, RETRY_MS.base * 2 ** (failure.times - 1)) - now);
}

/** A pod as the plan needs it; undefined when it is going, or is none of provisioned concurrency. */
export function podOf({ metadata, status }: PodObject): (ProvisionedPod & { qualifier: string }) | undefined {
  const qualifier = metadata.annotations?.[Annotation.provisioned];
  if (qualifier === undefined || metadata.deletionTimestamp !== undefined) return undefined;
  const template = metadata.annotations?.[Annotation.template] ?? "";
  return { name: metadata.name, uid: metadata.uid ?? "", qualifier, template, state: stateOf(status) };
}

function stateOf(status: PodObject["status"]): ProvisionedPod["state"] {
  if (status?.phase === "Failed" || status?.phase === "Succeeded") return "ended";
  const initialized = conditionOf(status, INITIALIZED_CONDITION);
  if (initialized?.status === "True") return "initialized";
  if (initialized?.status === "False") return "failed";
  const scheduled = conditionOf(status, "PodScheduled");
  return scheduled?.status === "False" && scheduled.reason === "Unschedulable" ? "unschedulable" : "starting";
}

/**
 * Why a pod never could take events, if that is so: its function's initialisation failed, or it ended before it had a chance.
 * One that could and ended later is no failure: it did its work.
 */
export function failureOf({ status }: PodObject): string | undefined {
  const initialized = conditionOf(status, INITIALIZED_CONDITION);
  if (initialized?.status === "False") return initialized.message || initialized.reason || "The initialization failed.";
  if (initialized !== undefined || stateOf(status) !== "ended") return undefined;
  const [container] = status?.containerStatuses ?? [];
  const terminated = container?.state?.terminated;
  const why = status?.message || terminated?.message || terminated?.reason || status?.reason;
  return why === undefined ? "A pod ended before it could take events." : `A pod ended before it could take events: ${why}`;
}

function conditionOf(status: PodObject["status"], type: string) {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** How far a provisioned concurrency is. */
export interface Progress {
  requested: number;
  initialized: number;
  /** Lambda's refusal, or what the qualifier has to become before anything can be made of it. */
  refusal?: string;
  failure?: Failure | undefined;
  /** Why it takes longer than it should. */
  waiting?: string;
}

/** The status to write, or undefined when it says so already. */
export function provisionedStatus(
  progress: Progress,
  former: ProvisionedConcurrencyStatus | undefined,
  clock: { now(): number },
): ProvisionedConcurrencyStatus | undefined {
  const { requested, initialized, refusal, failure, waiting } = progress;
  const isReady = refusal === undefined && initialized >= requested;
  const failed = isReady ? undefined : (refusal ?? failure?.reason);
  const reason = isReady ? undefined : (failed ?? waiting);
  const status: ProvisionedConcurrencyStatus = {
    requestedProvisionedConcurrentExecutions: requested,
    allocatedProvisionedConcurrentExecutions: initialized,
    status: isReady ? "READY" : failed === undefined ? "IN_PROGRESS" : "FAILED",
    ...(reason === undefined ? {} : { statusReason: cut(reason, MAX_REASON) }),
    // Lambda's time is that of the declaration.
    lastModified:
      former?.requestedProvisionedConcurrentExecutions === requested && former.lastModified !== undefined
        ? former.lastModified
        : lambdaTime(clock.now()),
  };
  return isSame(status, former) ? undefined : status;
}
