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
  /** Whether so much was granted before: what is there is not taken away for something new. */
  granted: boolean;
}

/** What limits a function's provisioned concurrency. */
export interface Limits {
  /** Reserved concurrency of the function. Absent: it shares the account's unreserved part. */
  reserved?: number;
  account: {
    /** Concurrent executions an account may have in all. */
    limit: number;
    /** What the account's other functions have reserved or provisioned. */
    others: number;
  };
}

/** A demand and why it is refused, if it is. */
export interface Grant<D extends Demand> {
  demand: D;
  /** Lambda's text. */
  refusal?: string;
}

/**
 * Grants in turn: first what was granted before, then the rest in the given order.
 * Texts as Lambda answers PutProvisionedConcurrencyConfig with (recorded answers).
 */
export function grant<D extends Demand>(demands: readonly D[], limits: Limits): Grant<D>[] {
  const taken: D[] = [];
  const refusals = new Map<D, string>();
  for (const demand of [...demands.filter(({ granted }) => granted), ...demands.filter(({ granted }) => !granted)]) {
    const refusal = refusalOf(demand, taken, limits);
    if (refusal === undefined) taken.push(demand);
    else refusals.set(demand, refusal);
  }
  return demands.map((demand) => {
    const refusal = refusals.get(demand);
    return { demand, ...(refusal === undefined ? {} : { refusal }) };
  });
}

function refusalOf(demand: Demand, taken: readonly Demand[], { reserved, account }: Limits): string | undefined {
  const rival = taken.find(({ kind, version }) => kind !== demand.kind && version === demand.version);
  if (rival)
    return rival.kind === "version"
      ? "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
      : "Version is pointed by a Provisioned Concurrency alias";
  const sum = taken.reduce((total, { requested }) => total + requested, demand.requested);
  if (reserved !== undefined)
    return sum <= reserved
      ? undefined
      : "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function";
  const left = account.limit - account.others - sum;
  const minimum = minUnreserved(account.limit);
  return left >= minimum
    ? undefined
    : `Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [${minimum}].`;
}
