/** Lambda's names: what may be written, and how long. Bounds and patterns are those of Lambda's API model (2015-03-31). */

/** Longest function name, characters. */
const MAX_FUNCTION_NAME = 64;
/** Longest alias name, and so longest qualifier, characters. */
const MAX_QUALIFIER = 128;

/** The qualifier of the unpublished version. */
export const LATEST = "$LATEST";

/** Whether `text` can be the name of a function (without ARN, without qualifier). */
export function isFunctionName(text: string): boolean {
  return text.length <= MAX_FUNCTION_NAME && /^[a-zA-Z0-9_-]+$/.test(text);
}

/** Whether `text` can be a qualifier: `$LATEST`, a version number or the name of an alias. */
export function isQualifier(text: string): boolean {
  return text === LATEST || (text.length <= MAX_QUALIFIER && /^[a-zA-Z0-9_-]+$/.test(text));
}
