/** Which of a function's declarations of provisioned concurrency are granted, by the limits that Lambda has. Pure. */

import { minUnreserved } from "../../domain/concurrency.ts";

/** Provisioned concurrency that a version or an alias declares. */
export interface Demand {
  /** The number of the version, or the name of the alias. */
  qualifier: string;
  kind: "version" | "alias";
  /** The version that it is for; of an alias the one that it names first. */
  version: string;
  requested: number;
  /** How much was granted before: what is there is not taken away for something new. */
  granted: number;
}

/** What limits a function's provisioned concurrency. */
export interface Limits {
  /** Reserved concurrency of the function, whether or not the account keeps it. */
  reserved?: number;
  /** Absent: what the function has reserved is set aside for it, and it takes nothing of what the others share. */
  account?: {
    /** Concurrent executions an account may have in all. */
    limit: number;
    /** What the account's other functions have reserved or provisioned. */
    others: number;
  };
}

/** A demand, how much of it is granted, and why not all, if it is not. */
export interface Grant<D extends Demand> {
  demand: D;
  count: number;
  /** Lambda's text. */
  refusal?: string;
}

/**
 * Grants in turn: first what was granted before, then the rest in the given order. What is refused more than it had keeps what it had,
 * as long as that fits.
 * Texts as Lambda answers PutProvisionedConcurrencyConfig with (recorded answers).
 */
export function grant<D extends Demand>(demands: readonly D[], limits: Limits): Grant<D>[] {
  const counts = new Map<D, number>();
  for (const demand of demands) {
    const had = Math.min(demand.granted, demand.requested);
    if (had > 0 && refusalOf(demand, had, counts, limits) === undefined) counts.set(demand, had);
  }
  return demands.map((demand) => {
    const { requested } = demand;
    const had = counts.get(demand) ?? 0;
    const refusal = had === requested ? undefined : refusalOf(demand, requested, counts, limits);
    if (refusal !== undefined) return { demand, count: had, refusal };
    counts.set(demand, requested);
    return { demand, count: requested };
  });
}

/** @param counts what is granted already; what is granted to the demand itself is replaced */
function refusalOf(demand: Demand, count: number, counts: ReadonlyMap<Demand, number>, { reserved, account }: Limits): string | undefined {
  const others = [...counts].filter(([other]) => other !== demand);
  const rival = others.find(([{ kind, version }]) => kind !== demand.kind && version === demand.version)?.[0];
  if (rival)
    return rival.kind === "version"
      ? "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
      : "Version is pointed by a Provisioned Concurrency alias";
  const sum = others.reduce((total, [, granted]) => total + granted, count);
  if (reserved !== undefined && sum > reserved)
    return "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function";
  if (account === undefined) return undefined;
  const minimum = minUnreserved(account.limit);
  return account.limit - account.others - sum >= minimum
    ? undefined
    : `Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [${minimum}].`;
}
