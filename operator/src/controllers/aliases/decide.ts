/** What an Alias' status says: where it leads, and whether it leads anywhere. Pure. */
import { findCondition, setCondition } from "../../api/conditions.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import type { Alias, AliasStatus, Function as LambdaFunction, Version } from "../../api/types.generated.ts";
import { functionArn } from "../../domain/arns.ts";
import { objectRevisionId } from "../../domain/effective.ts";
import { LATEST } from "../../domain/names.ts";
import { type AliasTarget, versionsNamed } from "../../domain/versions.ts";
import { type AccountView, findAccountObstacle } from "../functions/decide.ts";
import { isSame } from "../matches.ts";
import { belongsToAnother } from "../owner.ts";
import { given, type Notice, type Ready } from "../status.ts";

/** What is known about an alias. */
export interface AliasView {
  alias: Alias;
  account: AccountView;
  /** The Function that has the name, if there is one. */
  fn?: LambdaFunction;
  /** `metadata.name` of an older Alias of the function with the same name. */
  nameHeldBy?: string;
  /** The published versions of the function, by number as text. */
  versions: ReadonlyMap<string, Version>;
  region: string;
}

/** What is to be written. */
export interface AliasDecision {
  /** The whole status as far as it is this controller's, when it is not as it should be. */
  status?: AliasStatus;
  notice?: Notice;
}

/** Decides the status of an alias. */
export function decideAlias(view: AliasView, clock: { now(): number }): AliasDecision {
  const { alias, fn } = view;
  const { spec, status } = alias;
  const target: AliasTarget = { functionVersion: spec.functionVersion, ...given({ routingConfig: spec.routingConfig }) };
  const refusal = findRefusal(view);
  const ready: Ready = refusal
    ? { status: "False", reason: refusal.reason, message: refusal.message }
    : { status: "True", reason: Reason.resolved, message: "Every version that the alias names can be invoked." };
  if (refusal === undefined) return decision(view, target, ready, clock);
  // What was in force stays so while its versions are there, except for an alias that is none.
  const isAlias = view.nameHeldBy === undefined && !belongsToAnother(alias, fn);
  const former = isAlias && status?.effective && canBeInvoked(view, status.effective) ? status.effective : undefined;
  const stays = former === undefined ? "" : ` Invocations go on to version ${versionsNamed(former).join(" and ")}.`;
  return decision(view, former, { ...ready, message: `${ready.message}${stays}` }, clock);
}

function findRefusal(view: AliasView): { reason: string; message: string } | undefined {
  const { alias, account, fn, nameHeldBy } = view;
  const { functionName, name } = alias.spec;
  const namespace = alias.metadata.namespace ?? "";
  const closed = findAccountObstacle(account, namespace);
  if (closed) return { reason: closed.reason, message: closed.message };
  if (belongsToAnother(alias, fn))
    return {
      reason: Reason.functionNotFound,
      message: `The function ${functionName} that this was an alias of was deleted. Kubernetes removes this object.`,
    };
  if (fn === undefined)
    return {
      reason: Reason.functionNotFound,
      message: `Function ${functionName} does not exist in namespace ${namespace}. Create it, or correct spec.functionName in a new object.`,
    };
  if (nameHeldBy !== undefined)
    return {
      reason: Reason.nameConflict,
      message: `Alias ${nameHeldBy} of this namespace is the alias ${name} of ${functionName} already. Delete one of the two.`,
    };
  return versionsNamed(alias.spec)
    .map((version) => problemOf(view, version))
    .find((problem) => problem !== undefined);
}

function problemOf({ alias, fn, versions }: AliasView, version: string): { reason: string; message: string } | undefined {
  const { functionName } = alias.spec;
  if (version === LATEST) {
    if (fn?.status?.effective !== undefined) return undefined;
    return {
      reason: Reason.functionNotReady,
      message: `Function ${functionName} cannot be invoked yet: kubectl describe function ${fn?.metadata.name ?? functionName}.`,
    };
  }
  const found = versions.get(version);
  if (found === undefined)
    return {
      reason: Reason.versionNotFound,
      message: `Version ${version} of function ${functionName} does not exist. Publish it (a Version with spec.functionName: ${functionName}), or name another one: kubectl get versions.`,
    };
  if (found.status?.effective !== undefined) return undefined;
  return {
    reason: Reason.versionNotReady,
    message: `Version ${version} of function ${functionName} cannot be invoked: kubectl describe version ${found.metadata.name}.`,
  };
}

const canBeInvoked = (view: AliasView, target: AliasTarget): boolean =>
  versionsNamed(target).every((version) => problemOf(view, version) === undefined);

function decision(view: AliasView, effective: AliasTarget | undefined, ready: Ready, clock: { now(): number }): AliasDecision {
  const { alias, account, region } = view;
  const { functionName, name } = alias.spec;
  const { uid = "", generation = 0 } = alias.metadata;
  const { accountId } = account;
  const former = findCondition(alias.status?.conditions, ConditionType.ready);
  // Conditions of other types, and who writes them, are not this controller's business.
  const own = former === undefined ? [] : [former];
  const aliasArn = accountId === undefined ? alias.status?.aliasArn : functionArn({ region, accountId, functionName, qualifier: name });
  const status: AliasStatus = {
    observedGeneration: generation,
    revisionId: objectRevisionId({ uid, generation }),
    ...given({ aliasArn, effective }),
    conditions: setCondition(own, { type: ConditionType.ready, observedGeneration: generation, ...ready }, clock),
  };
  const { provisionedConcurrency: _others, functionUrl: _url, ...before } = alias.status ?? {};
  if (isSame(status, { ...before, conditions: own })) return {};
  if (former?.reason === ready.reason && former.message === ready.message) return { status };
  return { status, notice: { type: ready.status === "True" ? "Normal" : "Warning", reason: ready.reason, note: ready.message } };
}
