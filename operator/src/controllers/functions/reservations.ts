import { keptReservations, type Reservation } from "../../domain/concurrency.ts";

/** Whose reserved concurrency each account can keep: decided as the gateways do. */
export class Reservations {
  readonly #limit: number;
  readonly #byAccount = new Map<string, { wanted: Map<string, Reservation>; kept: ReadonlySet<string> }>();

  /** @param limit concurrent executions of an account */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Takes note of what a function wants to have reserved.
   * @param key of the function: `namespace/functionName`
   * @returns functions whose reservation is kept now and was not, or the other way round
   */
  update(account: string, key: string, wants: Omit<Reservation, "key"> | undefined): string[] {
    const { wanted, kept: before } = this.#byAccount.get(account) ?? { wanted: new Map(), kept: new Set() };
    if (wants === undefined && !wanted.delete(key)) return [];
    if (wants !== undefined) wanted.set(key, { ...wants, key });
    const kept = keptReservations(wanted.values(), this.#limit);
    if (wanted.size === 0) this.#byAccount.delete(account);
    else this.#byAccount.set(account, { wanted, kept });
    return [...new Set([...before, ...kept, key])].filter((other) => before.has(other) !== kept.has(other));
  }

  /** Whether a function wants something that the account cannot keep. */
  isRefused(account: string, key: string): boolean {
    const { wanted, kept } = this.#byAccount.get(account) ?? {};
    return wanted?.has(key) === true && kept?.has(key) === false;
  }
}
