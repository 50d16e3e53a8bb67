/** Provisioned concurrency as a function's versions and aliases declare it. Pure. */
import { findCondition } from "../../api/conditions.ts";
import { ConditionType, Reason } from "../../api/reasons.ts";
import type { Alias, Version } from "../../api/types.generated.ts";
import { type AliasTarget, versionsNamed } from "../../domain/versions.ts";
import { isOlder } from "../age.ts";
import type { Demand } from "./grants.ts";

/** A version or alias that declares provisioned concurrency. */
export interface Declaration extends Demand {
  object: Version | Alias;
  /** Where its invocations go; absent while they go nowhere. */
  target?: AliasTarget;
}

/** Whether an object has to do with provisioned concurrency, or had and says so still. */
export function isConcerned({ spec, status }: Version | Alias): boolean {
  return spec.provisionedConcurrentExecutions !== undefined || status?.provisionedConcurrency !== undefined;
}

/**
 * The declarations of a function, oldest first. What is no version or alias, for want of a number or because another object is it,
 * declares nothing.
 * @param grantedBefore how much was granted to an object, by UID
 */
export function declarations(
  versions: readonly Version[],
  aliases: readonly Alias[],
  grantedBefore: ReadonlyMap<string, number>,
): Declaration[] {
  const declaring = (object: Version | Alias, of: { qualifier: string; kind: Demand["kind"]; version: string; target?: AliasTarget }) => {
    const requested = object.spec.provisionedConcurrentExecutions;
    if (requested === undefined || object.metadata.deletionTimestamp !== undefined || isVoid(object)) return [];
    return [{ ...of, object, requested, granted: grantedBefore.get(object.metadata.uid ?? "") ?? 0 }];
  };
  const ofVersions = versions.flatMap((version) => {
    if (version.spec.version === undefined) return [];
    const qualifier = String(version.spec.version);
    const target = version.status?.effective === undefined ? {} : { target: { functionVersion: qualifier } };
    return declaring(version, { qualifier, kind: "version", version: qualifier, ...target });
  });
  const ofAliases = aliases.flatMap((alias) => {
    const target = alias.status?.effective;
    const [version = ""] = versionsNamed(target ?? alias.spec);
    return declaring(alias, { qualifier: alias.spec.name, kind: "alias", version, ...(target === undefined ? {} : { target }) });
  });
  return [...ofVersions, ...ofAliases].toSorted((a, b) => (isOlder(a.object, b.object) ? -1 : 1));
}

/** Of two objects for one number or name the second stands for nothing; nor does what a function left behind that is gone. */
function isVoid({ status }: Version | Alias): boolean {
  const reason = findCondition(status?.conditions, ConditionType.ready)?.reason;
  return reason === Reason.nameConflict || reason === Reason.functionNotFound;
}
