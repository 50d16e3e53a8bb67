/**
 * What becomes of a Version, decided from what is known: whether it is published now, and what its status says. Pure: numbers are
 * reserved by numbers.ts, everything is written by controller.ts.
 */
import { findCondition, setCondition } from "../../api/conditions.ts";
import { ConditionType, LastUpdateStatusReasonCode, Reason, State } from "../../api/reasons.ts";
import type { Function as LambdaFunction, Version, VersionStatus } from "../../api/types.generated.ts";
import { functionArn } from "../../domain/arns.ts";
import { versionConfiguration } from "../../domain/effective.ts";
import { type AccountView, findAccountObstacle, findUnserved, isInForce } from "../functions/decide.ts";
import { isSame } from "../matches.ts";
import { belongsToAnother } from "../owner.ts";
import { cut, given, lambdaTime, MAX_REASON, type Notice, type Ready } from "../status.ts";
import { type Frozen, frozenFrom, frozenOf, isSameContent } from "./published.ts";

/** What is known about a version. */
export interface VersionView {
  version: Version;
  account: AccountView;
  /** The Function that has the name, if there is one. */
  fn?: LambdaFunction;
  /** The published version of the function with the highest number, this one apart. */
  latest?: Version;
  /** `metadata.name` of an older Version of the function with the same number. */
  numberHeldBy?: string;
  region: string;
  /** Runtimes that this installation has images for. */
  runtimes: readonly string[];
}

/** Whether a version is published now, with what, or why not. */
export type Publication =
  | { kind: "publish"; fn: LambdaFunction; frozen: Omit<Frozen, "version"> }
  /** Not now; it is decided again when something changes. */
  | { kind: "wait"; reason: string; message: string }
  /** A version with this code and configuration exists. */
  | { kind: "exists"; version: number; message: string }
  /** That was decided before, and stays: what is published is what was in force when it was asked for, never something later. */
  | { kind: "existed" };

/** What is to be written. */
export interface VersionDecision {
  /** The whole status as far as it is this controller's, when it is not as it should be. */
  status?: VersionStatus;
  notice?: Notice;
}

/** Decides about a version that has no number yet. */
export function decidePublication(view: VersionView): Publication {
  const { version, account, fn, latest } = view;
  const { functionName, publishIf } = version.spec;
  const namespace = version.metadata.namespace ?? "";
  if (readyOf(version)?.reason === Reason.alreadyPublished) return { kind: "existed" };
  const obstacle = findAccountObstacle(account, namespace);
  if (obstacle) return { kind: "wait", ...obstacle };
  if (fn === undefined) return { kind: "wait", reason: Reason.functionNotFound, message: functionMissing(functionName, namespace) };
  const effective = fn.status?.effective;
  if (effective === undefined || !isInForce(fn))
    return { kind: "wait", reason: Reason.functionNotReady, message: `What is to be published is not in force yet. ${stateOf(fn)}` };
  if (publishIf?.codeSha256 !== undefined && publishIf.codeSha256 !== effective.codeSha256)
    return unmet(
      `CodeSHA256 (${publishIf.codeSha256}) is different from current CodeSHA256 in $LATEST (${effective.codeSha256}). Please try again with the CodeSHA256 in $LATEST.`,
    );
  if (publishIf?.revisionId !== undefined && publishIf.revisionId !== effective.revisionId)
    return unmet(
      "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
    );
  const frozen = frozenFrom(fn, effective);
  const number = latest?.spec.version;
  if (latest && number !== undefined && isSameContent(frozen, frozenOf(latest.spec)))
    return {
      kind: "exists",
      version: number,
      message: `Nothing was published: version ${number} (Version ${latest.metadata.name}) has the code and configuration that were in force. Use that one, and delete this object.`,
    };
  return { kind: "publish", fn, frozen };
}

/** The status of a version that is not published. */
export function decideUnpublished(
  view: VersionView,
  publication: Exclude<Publication, { kind: "publish" | "existed" }>,
  clock: { now(): number },
): VersionDecision {
  if (publication.kind === "wait") return decision(view, { ready: notReady(publication.reason, publication.message) }, clock);
  const ready = notReady(Reason.alreadyPublished, publication.message);
  return decision(view, { ready, ...given({ functionArn: arnOf(view, publication.version) }) }, clock);
}

/** The status while no number can be reserved. */
export function decideWithoutNumber(view: VersionView, why: string, clock: { now(): number }): VersionDecision {
  return decision(view, { ready: notReady(Reason.numberUnavailable, why) }, clock);
}

/** What stands in a published version's way whatever its package is. */
export type VersionObstacle =
  /** It stays as it is, and cannot be invoked while this lasts. */
  | { kind: "waits"; reason: string; message: string }
  /** It is no version at all. */
  | { kind: "void"; reason: string; message: string }
  /** This installation cannot run it. */
  | { kind: "failed"; reason: string; message: string; code: string };

/** The reason not to look for the package, if there is one. */
export function findVersionObstacle(view: VersionView): VersionObstacle | undefined {
  const { version, account, fn } = view;
  const { functionName } = version.spec;
  const namespace = version.metadata.namespace ?? "";
  const closed = findAccountObstacle(account, namespace);
  if (closed) return { kind: "waits", ...closed };
  if (belongsToAnother(version, fn))
    return {
      kind: "void",
      reason: Reason.functionNotFound,
      message: `The function ${functionName} that this was a version of was deleted. Kubernetes removes this object.`,
    };
  if (fn === undefined) return { kind: "waits", reason: Reason.functionNotFound, message: functionMissing(functionName, namespace) };
  if (view.numberHeldBy !== undefined)
    return {
      kind: "void",
      reason: Reason.nameConflict,
      message: `Version ${view.numberHeldBy} of this namespace is version ${version.spec.version} of ${functionName} already. Delete one of the two.`,
    };
  const unserved = findUnserved(version.spec, view.runtimes);
  return unserved && { kind: "failed", reason: unserved.reason, message: unserved.message, code: unserved.failureCode };
}

/** The decision about a published version that has an obstacle. */
export function decideObstructedVersion(view: VersionView, obstacle: VersionObstacle, clock: { now(): number }): VersionDecision {
  const ready = notReady(obstacle.reason, obstacle.message);
  const { state, stateReason, stateReasonCode, lastModified, effective } = view.version.status ?? {};
  switch (obstacle.kind) {
    case "waits":
      return decision(view, { ready, ...given({ state, stateReason, stateReasonCode, lastModified, effective }) }, clock);
    case "void":
      return decision(view, { ready, ...failed(obstacle.message, LastUpdateStatusReasonCode.invalidConfiguration) }, clock);
    case "failed":
      return decision(view, { ready, ...failed(obstacle.message, obstacle.code), ...given({ lastModified }) }, clock);
  }
}

/** The decision about a published version that nothing stands in the way of. */
export function decidePublished(view: VersionView, hasPackage: boolean, clock: { now(): number }): VersionDecision {
  const { spec, status } = view.version;
  const effective = versionConfiguration(view.version);
  if (!hasPackage || effective === undefined) {
    const message = `The package ${spec.code?.package?.sha256 ?? ""} is not in the package store. Restore the store's backup, or delete this object and publish the function again.`;
    return decision(
      view,
      { ready: notReady(Reason.invalidPackage, message), ...failed(message, LastUpdateStatusReasonCode.invalidZipFile) },
      clock,
    );
  }
  return decision(
    view,
    {
      state: State.active,
      lastModified: status?.lastModified ?? lambdaTime(clock.now()),
      effective: isSame(effective, status?.effective) && status?.effective ? status.effective : effective,
      ready: { status: "True", reason: Reason.active, message: `Version ${spec.version} can be invoked.` },
    },
    clock,
  );
}

/** What this controller says of a version, without what every status has. */
type Verdict = Omit<VersionStatus, "conditions" | "observedGeneration" | "provisionedConcurrency"> & { ready: Ready };

const notReady = (reason: string, message: string): Ready => ({ status: "False", reason, message: cut(message, MAX_REASON * 4) });

const failed = (message: string, code: string): Pick<VersionStatus, "state" | "stateReason" | "stateReasonCode"> => ({
  state: State.failed,
  stateReason: cut(message, MAX_REASON),
  stateReasonCode: code,
});

const unmet = (message: string): Publication => ({
  kind: "wait",
  reason: Reason.preconditionFailed,
  message: `${message} Nothing is published until the function is what spec.publishIf names; delete this object to give it up.`,
});

const functionMissing = (functionName: string, namespace: string): string =>
  `Function ${functionName} does not exist in namespace ${namespace}. Create it, or correct spec.functionName in a new object.`;

function stateOf(fn: LambdaFunction): string {
  const ready = findCondition(fn.status?.conditions, ConditionType.ready);
  const seen = ready?.observedGeneration === fn.metadata.generation;
  if (ready === undefined || !seen || ready.status === "True") return `A change of Function ${fn.metadata.name} is being applied.`;
  return `Function ${fn.metadata.name}: ${ready.message}`;
}

function readyOf(version: Version) {
  return findCondition(version.status?.conditions, ConditionType.ready);
}

function arnOf({ account: { accountId }, region, version }: VersionView, number: number | undefined): string | undefined {
  const { functionName } = version.spec;
  if (accountId === undefined || number === undefined) return version.status?.functionArn;
  return functionArn({ region, accountId, functionName, qualifier: String(number) });
}

function decision(view: VersionView, { ready, ...verdict }: Verdict, clock: { now(): number }): VersionDecision {
  const { version } = view;
  const observedGeneration = version.metadata.generation ?? 0;
  const former = readyOf(version);
  // Conditions of other types, and who writes them, are not this controller's business.
  const own = former === undefined ? [] : [former];
  const status: VersionStatus = {
    observedGeneration,
    ...given({ functionArn: arnOf(view, version.spec.version) }),
    ...verdict,
    conditions: setCondition(own, { type: ConditionType.ready, observedGeneration, ...ready }, clock),
  };
  const { provisionedConcurrency: _others, ...before } = version.status ?? {};
  if (isSame(status, { ...before, conditions: own })) return {};
  if (former?.reason === ready.reason && former.message === ready.message) return { status };
  const waiting = ready.reason === Reason.functionNotReady || ready.reason === Reason.alreadyPublished;
  const type = ready.status === "True" || waiting ? "Normal" : "Warning";
  return { status, notice: { type, reason: ready.reason, note: ready.message } };
}
