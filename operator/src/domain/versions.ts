/**
 * Versions and aliases by numbers: the weights of an alias, exactly as they are written, and how a whole is shared by them.
 * Weights are decimal strings (crds/aliases.yaml): every weight that Lambda takes is kept exactly, and compared and shared exactly.
 */
import type { AliasSpec } from "../api/types.generated.ts";

/** Which version an alias' invocations get: one, or a second one with a share. */
export interface AliasRoutes {
  /** Number of a version, or `$LATEST`. */
  version: string;
  /** The second version and its part of the invocations, above 0 and at most 1. */
  additional?: { version: string; weight: number };
}

/** A weight as a fraction of whole numbers. */
interface Fraction {
  numerator: bigint;
  denominator: bigint;
}

/** Longest weight that the resource takes, and the only form: 0 to 1 with at most 20 digits after the point. */
const WEIGHT = /^(?:0(?:\.(?<digits>\d{1,20}))?|1(?:\.0{1,20})?)$/;

/** What of an alias says where its invocations go; `status.effective` has the same. */
export type AliasTarget = Pick<AliasSpec, "functionVersion" | "routingConfig">;

/** The routes of an alias. A second version without weight gets nothing and is left out; so is one whose weight is none. */
export function aliasRoutes(target: AliasTarget): AliasRoutes {
  const version = target.functionVersion;
  const second = additionalOf(target);
  if (second === undefined) return { version };
  const { numerator, denominator } = second.weight;
  return { version, additional: { version: second.version, weight: Number(numerator) / Number(denominator) } };
}

/** Every version that an alias names, whether it gets invocations or not. */
export function versionsNamed({ functionVersion, routingConfig }: AliasTarget): string[] {
  return [functionVersion, ...Object.keys(routingConfig?.additionalVersionWeights ?? {})];
}

/**
 * Shares a whole number between the versions of an alias by their weights. The second one is rounded to the nearest whole (a half
 * up), the first one gets the rest, so the sum is kept; of at least two each version with a share gets one.
 */
export function shareByWeight(target: AliasTarget, whole: number): { version: string; count: number }[] {
  const first = target.functionVersion;
  const second = additionalOf(target);
  if (second === undefined) return [{ version: first, count: whole }];
  const { numerator, denominator } = second.weight;
  const nearest = Number((2n * BigInt(whole) * numerator + denominator) / (2n * denominator));
  const isWhole = numerator === denominator;
  const count = whole < 2 || isWhole ? nearest : Math.min(whole - 1, Math.max(1, nearest));
  return [
    { version: first, count: whole - count },
    { version: second.version, count },
  ].filter((share) => share.count > 0);
}

function additionalOf(target: AliasTarget): { version: string; weight: Fraction } | undefined {
  const [entry] = Object.entries(target.routingConfig?.additionalVersionWeights ?? {});
  const weight = entry && fraction(entry[1]);
  return entry && weight && weight.numerator > 0n ? { version: entry[0], weight } : undefined;
}

function fraction(text: string): Fraction | undefined {
  const match = WEIGHT.exec(text);
  if (match === null) return undefined;
  if (text.startsWith("1")) return { numerator: 1n, denominator: 1n };
  const digits = match.groups?.digits ?? "0";
  return { numerator: BigInt(digits), denominator: 10n ** BigInt(digits.length) };
}
