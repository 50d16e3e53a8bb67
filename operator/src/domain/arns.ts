/**
 * How callers name a function: a name, a partial ARN or a full ARN, each with or without a qualifier, and the ARNs that Kappa
 * writes. Patterns and texts follow Lambda's API model (shape `NamespacedFunctionName`) and its recorded answers.
 */
import { KappaError } from "./errors.ts";
import { isFunctionName, isQualifier } from "./names.ts";

/** The partition of every ARN that Kappa writes; SDKs compare ARNs as text, so there is one. */
const PARTITION = "aws";

/** Longest text accepted as a function reference, characters (`NamespacedFunctionName` in Lambda's model). */
const MAX_REFERENCE = 170;

const REFERENCE =
  /^(?:arn:(?:aws[a-zA-Z-]*)?:lambda:(?:(?<region>[a-z]{2}(?:-[a-z]+)+-\d):)?)?(?:(?<account>\d{12}):)?(?:function:)?(?<name>[a-zA-Z0-9_-]+)(?::(?<qualifier>\$LATEST|[a-zA-Z0-9_-]+))?$/;

/** A function as a caller named it. What the caller left out is absent; the caller's own account and region then apply. */
export interface FunctionReference {
  /** Lambda's name, not `metadata.name`. */
  functionName: string;
  /** `$LATEST`, a version number or an alias. */
  qualifier?: string;
  /** 12 digits. */
  accountId?: string;
  region?: string;
}

/**
 * Reads the `FunctionName` of a request together with its `Qualifier` parameter.
 * @param text name, partial or full ARN, already URL-decoded
 * @param qualifier value of the `Qualifier` parameter, when the request had one
 * @throws KappaError K103 when either is malformed or the two contradict each other
 */
export function parseFunctionReference(text: string, qualifier?: string): FunctionReference {
  const groups = text.length <= MAX_REFERENCE ? REFERENCE.exec(text)?.groups : undefined;
  const functionName = groups?.name;
  if (functionName === undefined || !isFunctionName(functionName))
    throw malformed(text, "functionName", "a function name, partial ARN or ARN");
  if (qualifier !== undefined && !isQualifier(qualifier)) throw malformed(qualifier, "qualifier", "$LATEST, a version number or an alias");

  const written = groups?.qualifier;
  if (written !== undefined && !isQualifier(written)) throw malformed(text, "functionName", "a function name, partial ARN or ARN");
  if (written !== undefined && qualifier !== undefined && written !== qualifier)
    throw new KappaError("K103", "The derived qualifier from the function name does not match the specified qualifier.");

  const reference: FunctionReference = { functionName };
  const chosen = qualifier ?? written;
  if (chosen !== undefined) reference.qualifier = chosen;
  if (groups?.account !== undefined) reference.accountId = groups.account;
  if (groups?.region !== undefined) reference.region = groups.region;
  return reference;
}

/** The ARN of a function, or with `qualifier` that of a version or alias. */
export function functionArn(of: { region: string; accountId: string; functionName: string; qualifier?: string | undefined }): string {
  const unqualified = `arn:${PARTITION}:lambda:${of.region}:${of.accountId}:function:${of.functionName}`;
  return of.qualifier === undefined ? unqualified : `${unqualified}:${of.qualifier}`;
}

/** The qualifier with which a function's ARN ends, if it does with one. @param arn one that {@link functionArn} wrote */
export function qualifierOf(arn: string): string | undefined {
  return arn.split(":")[7];
}

function malformed(value: string, member: string, expected: string): KappaError {
  const shown = value.length > MAX_REFERENCE ? `${value.slice(0, MAX_REFERENCE)}…` : value;
  return new KappaError(
    "K103",
    `1 validation error detected: Value '${shown}' at '${member}' failed to satisfy constraint: Member must be ${expected}`,
  );
}
