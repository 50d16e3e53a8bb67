/**
 * What a Function's status says, decided from what is known: Lambda's states and reasons, and the Ready condition for kubectl.
 * Pure: whether and from where code is read is in code.ts, who writes is in controller.ts.
 */
import { findCondition, setCondition } from "../../api/conditions.ts";
import {
  ConditionType,
  LastUpdateStatus,
  LastUpdateStatusReasonCode,
  Reason,
  State,
  StateReason,
  StateReasonCode,
} from "../../api/reasons.ts";
import type { FunctionStatus, Function as LambdaFunction } from "../../api/types.generated.ts";
import { functionArn } from "../../domain/arns.ts";
import { type EffectiveConfiguration, effectiveConfiguration, functionNameOf, type StoredPackage } from "../../domain/effective.ts";
import type { KappaError } from "../../domain/errors.ts";
import { Label } from "../../resources/labels.ts";
import { isSame } from "../matches.ts";
import { cut, explain, given, lambdaTime, MAX_REASON, type Notice, type Ready } from "../status.ts";

/** What is known about a function besides its code. */
export interface FunctionView {
  fn: LambdaFunction;
  account: AccountView;
  /** `metadata.name` of an older Function with the same Lambda name in the namespace. */
  nameHeldBy?: string;
  region: string;
  /** Runtimes that this installation has images for. */
  runtimes: readonly string[];
  /** What it wants to have reserved is more than the account can keep. */
  reservationRefused: boolean;
}

/** The namespace as an account. */
export interface AccountView {
  /** Labelled by its owner and not being deleted. */
  enabled: boolean;
  /** Given a moment after it was enabled. */
  accountId?: string;
}

/** What became of the function's code. */
export type CodeOutcome =
  /** It is in the package store. */
  | { kind: "stored"; stored: StoredPackage }
  /** It is being read, which takes a while. */
  | { kind: "reading" }
  /** It can never run as it is. */
  | { kind: "refused"; error: KappaError }
  /** It could not be read or stored now; trying again may help. */
  | { kind: "unavailable"; error: KappaError };

/** Why a function cannot run whatever its code is. */
export interface Obstacle {
  reason: string;
  message: string;
  /** Lambda's code of a failure that lasts until spec changes; absent while waiting for somebody else. */
  failureCode?: string;
}

/** What is to be done. */
export interface Decision {
  /** The whole status, when it is not as it should be. */
  status?: FunctionStatus;
  notice?: Notice;
}

/**
 * What the schema takes and this version does not carry out although the function relies on it. Running it without would be worse
 * than not running it: a function that asks for a VPC must not find itself in the public placement.
 */
const UNSERVED: readonly { asked: (spec: Served) => boolean; message: string }[] = [
  {
    asked: ({ code }) => code?.image !== undefined,
    message:
      "Functions from container images are recorded but not run by this version of Kappa. Give the code as inline, zip, configMap, object or url.",
  },
  {
    asked: ({ vpcConfig }) => (vpcConfig?.subnetIds?.length ?? 0) > 0 || (vpcConfig?.securityGroupIds?.length ?? 0) > 0,
    message:
      "Functions in a VPC are recorded but not run by this version of Kappa, which has the public placement only. Remove spec.vpcConfig.",
  },
  {
    asked: ({ layers }) => (layers?.length ?? 0) > 0,
    message:
      "Functions with layers are recorded but not run by this version of Kappa. Put what the layers hold into the package and remove spec.layers.",
  },
  {
    asked: ({ runtimeClassName }) => runtimeClassName !== undefined,
    message:
      "A RuntimeClass of a function's own is not set up by this version of Kappa. Remove spec.runtimeClassName; the chart's environments.runtimeClassName sets one for all.",
  },
];

/** What of a Function or Version decides whether this installation can run it. */
type Served = Pick<LambdaFunction["spec"], "runtime" | "vpcConfig" | "layers" | "runtimeClassName"> & { code?: { image?: string } };

/** Why this installation cannot run something, if it cannot. */
export function findUnserved(spec: Served, runtimes: readonly string[]): Required<Obstacle> | undefined {
  const unserved = UNSERVED.find(({ asked }) => asked(spec));
  if (unserved)
    return { reason: Reason.notSupported, failureCode: LastUpdateStatusReasonCode.invalidConfiguration, message: unserved.message };
  if (spec.runtime === undefined || !runtimes.includes(spec.runtime))
    return {
      reason: Reason.notSupported,
      failureCode: LastUpdateStatusReasonCode.invalidRuntime,
      message: `Runtime ${spec.runtime ?? "(none)"} is not installed. Installed runtimes: ${runtimes.toSorted().join(", ") || "none"}.`,
    };
  return undefined;
}

/** Why nothing in this namespace is worked on, if it is not. */
export function findAccountObstacle(account: AccountView, namespace: string): Obstacle | undefined {
  if (!account.enabled)
    return {
      reason: Reason.namespaceNotEnabled,
      message: `Namespace ${namespace} is not enabled for Kappa. Enable it: kubectl label namespace ${namespace} ${Label.enabled}=true`,
    };
  if (account.accountId === undefined)
    return { reason: Reason.namespaceNotEnabled, message: `Namespace ${namespace} is being set up as an account; this takes a moment.` };
  return undefined;
}

/** The reason not to look at the code at all, if there is one. */
export function findObstacle(view: FunctionView): Obstacle | undefined {
  const { fn, account } = view;
  const obstacle = findAccountObstacle(account, fn.metadata.namespace ?? "");
  if (obstacle) return obstacle;
  if (view.nameHeldBy !== undefined)
    return {
      reason: Reason.nameConflict,
      message: `Function ${view.nameHeldBy} of this namespace has the name ${functionNameOf(fn)} already. Delete one of the two, or create this one with another spec.functionName.`,
    };
  return findUnserved(fn.spec, view.runtimes);
}

/** Whether status already says that exactly this spec is in force. */
export function isInForce(fn: LambdaFunction): boolean {
  const ready = findCondition(fn.status?.conditions, ConditionType.ready);
  return fn.status?.effective !== undefined && ready?.status === "True" && ready.observedGeneration === fn.metadata.generation;
}

/** The decision when the code was not looked at. */
export function decideObstructed(view: FunctionView, obstacle: Obstacle, clock: { now(): number }): Decision {
  const { failureCode, reason, message } = obstacle;
  if (failureCode === undefined) return decision(view, { ...lifeOf(view.fn), ...notReady(reason, message) }, clock);
  const runnable = view.runtimes.includes(view.fn.status?.effective?.runtime ?? "");
  return decision(view, failed(view, { code: failureCode, reason, message, keepsRunning: runnable }), clock);
}

/** The decision for an account's function, from what became of its code. */
export function decideFromCode(view: FunctionView, code: CodeOutcome, clock: { now(): number }): Decision {
  const updating = view.fn.status?.effective !== undefined;
  switch (code.kind) {
    case "stored":
      return decision(view, active(view, code.stored, clock), clock);
    case "refused": {
      const { error } = code;
      const invalidPackage = error.code.startsWith("K2");
      const failureCode = invalidPackage ? LastUpdateStatusReasonCode.invalidZipFile : LastUpdateStatusReasonCode.invalidConfiguration;
      const reason = updating ? Reason.updateFailed : Reason.invalidPackage;
      return decision(view, failed(view, { code: failureCode, reason, message: explain(error), keepsRunning: updating }), clock);
    }
    case "reading":
      return decision(
        view,
        { ...underWay(view.fn), ...notReady(updating ? Reason.updating : Reason.creating, "The package is being fetched and checked.") },
        clock,
      );
    case "unavailable":
      return decision(view, { ...underWay(view.fn), ...notReady(Reason.packageUnavailable, explain(code.error)) }, clock);
  }
}

/** A status without what every status has: generation, ARN, the Ready condition as a whole. */
type Verdict = Omit<FunctionStatus, "conditions" | "observedGeneration" | "functionArn"> & {
  ready: Ready;
};

const notReady = (reason: string, message: string): Pick<Verdict, "ready"> => ({
  ready: { status: "False", reason, message: cut(message, MAX_REASON * 4) },
});

/** State, outcome of the last update and what is in force, as they were. A function that has none is being created. */
function lifeOf(fn: LambdaFunction): Omit<Verdict, "ready"> {
  const {
    state,
    stateReason,
    stateReasonCode,
    lastUpdateStatus,
    lastUpdateStatusReason,
    lastUpdateStatusReasonCode,
    lastModified,
    effective,
  } = fn.status ?? {};
  if (state === undefined) return { state: State.pending, stateReason: StateReason.creating, stateReasonCode: StateReasonCode.creating };
  return {
    state,
    ...given({
      stateReason,
      stateReasonCode,
      lastUpdateStatus,
      lastUpdateStatusReason,
      lastUpdateStatusReasonCode,
      lastModified,
      effective,
    }),
  };
}

/** Creating, or updating while the former configuration stays in force: Lambda answers both with the same text and code. */
function underWay(fn: LambdaFunction): Omit<Verdict, "ready"> {
  const { effective, lastModified } = fn.status ?? {};
  const reason = { lastUpdateStatusReason: StateReason.creating, lastUpdateStatusReasonCode: StateReasonCode.creating };
  if (effective === undefined)
    return { state: State.pending, stateReason: StateReason.creating, stateReasonCode: StateReasonCode.creating };
  return { state: State.active, lastUpdateStatus: LastUpdateStatus.inProgress, ...reason, effective, ...given({ lastModified }) };
}

/** Lambda refuses such a reservation with this text; here the function is there, and limited. */
const RESERVATION_REFUSED =
  "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100]. " +
  "It is a limit, and nothing is set aside for the function: lower spec.reservedConcurrentExecutions of this function or of older ones.";

function active({ fn, reservationRefused }: FunctionView, stored: StoredPackage, clock: { now(): number }): Verdict {
  const former = fn.status?.effective;
  const wanted = effectiveConfiguration(fn, stored);
  // Each change of spec is a revision, as each of Lambda's updates is. Which environments stay is not for the revision to say: runnableId.
  const unchanged = former !== undefined && isSame(wanted, former);
  const effective: EffectiveConfiguration = unchanged ? former : wanted;
  const lastModified = (unchanged ? fn.status?.lastModified : undefined) ?? lambdaTime(clock.now());
  return {
    state: State.active,
    lastUpdateStatus: LastUpdateStatus.successful,
    lastModified,
    effective,
    ready: reservationRefused
      ? { status: "True", reason: Reason.reservationRefused, message: RESERVATION_REFUSED }
      : { status: "True", reason: Reason.active, message: "The function can be invoked with the configuration in spec." },
  };
}

function failed(view: FunctionView, why: { code: string; reason: string; message: string; keepsRunning: boolean }): Verdict {
  const { effective, lastModified } = view.fn.status ?? {};
  const text = cut(why.message, MAX_REASON);
  const update = {
    lastUpdateStatus: LastUpdateStatus.failed,
    lastUpdateStatusReason: text,
    lastUpdateStatusReasonCode: why.code,
    ...given({ effective, lastModified }),
  };
  if (effective !== undefined && why.keepsRunning)
    return { state: State.active, ...update, ...notReady(why.reason, `${why.message} The former configuration stays in force.`) };
  return { state: State.failed, stateReason: text, stateReasonCode: why.code, ...update, ...notReady(why.reason, why.message) };
}

function decision(view: FunctionView, verdict: Verdict, clock: { now(): number }): Decision {
  const { fn, account, region } = view;
  const { ready, ...rest } = verdict;
  const observedGeneration = fn.metadata.generation ?? 0;
  const arn =
    account.accountId === undefined
      ? fn.status?.functionArn
      : functionArn({ region, accountId: account.accountId, functionName: functionNameOf(fn) });
  const former = findCondition(fn.status?.conditions, ConditionType.ready);
  // Conditions of other types, and who writes them, are not this controller's business.
  const own = former === undefined ? [] : [former];
  const status: FunctionStatus = {
    observedGeneration,
    ...given({ functionArn: arn }),
    ...rest,
    conditions: setCondition(own, { type: ConditionType.ready, observedGeneration, ...ready }, clock),
  };
  if (isSame(status, { ...fn.status, conditions: own })) return {};
  const told = former?.reason === ready.reason && former.message === ready.message && former.observedGeneration === observedGeneration;
  return { status, ...(told ? {} : { notice: noticeOf(ready) }) };
}

function noticeOf(ready: Verdict["ready"]): Notice {
  const waiting = ready.reason === Reason.creating || ready.reason === Reason.updating;
  return { type: ready.status === "True" || waiting ? "Normal" : "Warning", reason: ready.reason, note: ready.message };
}
