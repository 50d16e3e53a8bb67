import { KappaError } from "../domain/errors.ts";
import type { FunctionEntry } from "./function-registry.ts";

/** Functions without a reservation keep at least so much of an account (docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html). */
const MIN_UNRESERVED = 100;

/**
 * Concurrent executions per account, as far as this gateway runs them. What functions have reserved is theirs alone; the others
 * share what is left.
 */
export class AccountConcurrency {
  readonly #limit: number;
  readonly #accounts = new Map<string, { unreserved: number; reserved: Map<string, number> }>();

  /** @param limit executions of one account at once */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes note of what a function has reserved; without an entry it is gone. */
  update(key: string, entry: FunctionEntry | undefined): void {
    const account = this.#account(key.slice(0, key.indexOf("/")));
    const reserved = entry?.reservedConcurrentExecutions;
    if (reserved === undefined) account.reserved.delete(key);
    else account.reserved.set(key, reserved);
  }

  /**
   * Counts one more execution of a function.
   * @param running executions of the function now, before this one
   * @returns how to give it back
   * @throws KappaError K105 with Lambda's reason
   */
  acquire(entry: FunctionEntry, running: number): () => void {
    const reserved = entry.reservedConcurrentExecutions;
    if (reserved !== undefined) {
      if (running >= reserved) throw throttle("ReservedFunctionConcurrentInvocationLimitExceeded");
      return NOTHING_TO_RELEASE;
    }
    const account = this.#account(entry.namespace);
    if (account.unreserved >= this.#unreservedLimit(account.reserved)) throw throttle("ConcurrentInvocationLimitExceeded");
    account.unreserved++;
    return () => {
      account.unreserved--;
    };
  }

  #account(namespace: string) {
    let account = this.#accounts.get(namespace);
    if (!account) {
      account = { unreserved: 0, reserved: new Map() };
      this.#accounts.set(namespace, account);
    }
    return account;
  }

  #unreservedLimit(reserved: ReadonlyMap<string, number>): number {
    if (reserved.size === 0) return this.#limit;
    let sum = 0;
    for (const value of reserved.values()) sum += value;
    return Math.max(this.#limit - sum, Math.min(MIN_UNRESERVED, this.#limit));
  }
}

const NOTHING_TO_RELEASE = () => {};

function throttle(reason: "ReservedFunctionConcurrentInvocationLimitExceeded" | "ConcurrentInvocationLimitExceeded"): KappaError {
  return new KappaError("K105", "Rate Exceeded.", { details: { Reason: reason } });
}
