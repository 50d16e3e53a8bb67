/** Which version a caller means. Pure. */
import { qualifierOf } from "../domain/arns.ts";
import { LATEST } from "../domain/names.ts";
import type { AliasRoutes } from "../domain/versions.ts";
import type { FunctionEntry } from "./function-entry.ts";
import type { Invocation } from "./invocation.ts";

const NUMBER = /^\d+$/;

/**
 * The version that a qualifier stands for: `$LATEST`, a number, or what an alias chooses.
 * @param chance a number from 0 to below 1, drawn anew for each invocation; only asked for where an alias has two versions
 * @returns the version, which need not exist; undefined when the qualifier is no alias of the function
 */
export function resolveQualifier(
  { aliases }: Pick<FunctionEntry, "aliases">,
  qualifier: string | undefined,
  chance: () => number,
): string | undefined {
  if (qualifier === undefined || qualifier === LATEST) return LATEST;
  // The name of an alias is never a number (Lambda's API model, shape Alias).
  if (NUMBER.test(qualifier)) return qualifier;
  const target = aliases.get(qualifier);
  if (!target) return undefined;
  const { version, additional } = target;
  return additional && chance() < additional.weight ? additional.version : version;
}

/** Where the alias leads by which a function was invoked: the same object until the alias changes. Absent where there is no such alias. */
export function routesOf({ aliases }: Pick<FunctionEntry, "aliases">, invokedArn: string): AliasRoutes | undefined {
  const qualifier = qualifierOf(invokedArn);
  return qualifier === undefined ? undefined : aliases.get(qualifier);
}

/** Whether the alias by which a version was invoked does not lead there any more. */
export function hasAliasLeft(
  entry: Pick<FunctionEntry, "aliases">,
  { invokedArn, version }: Pick<Invocation, "invokedArn" | "version">,
): boolean {
  const routes = routesOf(entry, invokedArn);
  return routes !== undefined && routes.version !== version && routes.additional?.version !== version;
}

/** The version that an event means which has not run yet: another one than before if its alias has left that. */
export function versionNow(
  entry: Pick<FunctionEntry, "aliases">,
  invocation: Pick<Invocation, "invokedArn" | "version">,
  chance: () => number,
): string {
  if (!hasAliasLeft(entry, invocation)) return invocation.version;
  return resolveQualifier(entry, qualifierOf(invocation.invokedArn), chance) ?? invocation.version;
}
