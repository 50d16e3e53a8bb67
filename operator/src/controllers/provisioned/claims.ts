import { keptProvisioned, type Provisioned, type Reservation } from "../../domain/concurrency.ts";
import { parseKey } from "../../kube/index.ts";
import { Reservations } from "../functions/reservations.ts";

/**
 * How much of each account is set aside: by reservations that the account keeps, or provisioned for functions that have none. One leader
 * decides, so what it has granted counts at once and not when a watch brings it back.
 */
export class Claims {
  readonly #limit: number;
  readonly #reservations: Reservations;
  /** By account and function. */
  readonly #provisioned = new Map<string, Map<string, Provisioned>>();

  /** @param limit concurrent executions of an account */
  constructor(limit: number) {
    this.#limit = limit;
    this.#reservations = new Reservations(limit);
  }

  /**
   * Takes note of what a function wants to have reserved.
   * @param key of the function
   * @returns whether any function of the account has something else set aside now
   */
  reserve(key: string, wants: Omit<Reservation, "key"> | undefined): boolean {
    return this.#reservations.update(accountOf(key), key, wants).length > 0;
  }

  /** Takes note of what is granted to a function. */
  provision(key: string, granted: Omit<Provisioned, "key"> | undefined): void {
    const account = accountOf(key);
    const all = this.#provisioned.get(account) ?? new Map<string, Provisioned>();
    if (granted === undefined || granted.provisioned === 0) all.delete(key);
    else all.set(key, { ...granted, key });
    if (all.size === 0) this.#provisioned.delete(account);
    else this.#provisioned.set(account, all);
  }

  /** Whether what a function has reserved is set aside for it. */
  isReserved(key: string): boolean {
    return this.#reservations.kept(accountOf(key)).has(key);
  }

  /** What the other functions of the account have set aside. */
  others(key: string): number {
    let sum = 0;
    for (const [other, reserved] of this.#reservations.kept(accountOf(key))) if (other !== key) sum += reserved;
    for (const { key: other, provisioned } of this.#unreserved(accountOf(key))) if (other !== key) sum += provisioned;
    return sum;
  }

  /** Takes back what is provisioned and does not fit beside the account's reservations any more. @returns the functions that had it */
  withdraw(account: string): string[] {
    const provisioned = this.#unreserved(account);
    let reserved = 0;
    for (const amount of this.#reservations.kept(account).values()) reserved += amount;
    const kept = keptProvisioned(provisioned, this.#limit, reserved);
    const withdrawn = provisioned.map(({ key }) => key).filter((key) => !kept.has(key));
    for (const key of withdrawn) this.provision(key, undefined);
    return withdrawn;
  }

  /** What is provisioned out of the account's unreserved part. */
  #unreserved(account: string): Provisioned[] {
    return [...(this.#provisioned.get(account)?.values() ?? [])].filter(({ key }) => !this.isReserved(key));
  }
}

const accountOf = (key: string): string => parseKey(key).namespace ?? "";
