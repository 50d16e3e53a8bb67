/** Which version a caller means. Pure. */
import { LATEST } from "../domain/names.ts";
import type { FunctionEntry } from "./function-entry.ts";

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
