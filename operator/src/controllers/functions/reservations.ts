import { keptReservations, type Reservation } from "../../domain/concurrency.ts";

/** Whose reserved concurrency each account can keep: decided as the gateways do. */
export class Reservations {
  readonly #limit: number;
  readonly #byAccount = new Map<string, { wanted: Map<string, Reservation>; kept: ReadonlyMap<string, number> }>();

  /** @param limit concurrent executions of an account */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Takes note of what a function wants to have reserved.
   * @param key of the function: `namespace/functionName`
   * @returns functions that have more or less set aside than before, or something now and nothing before, or the other way round
   */
  update(account: string, key: string, wants: Omit<Reservation, "key"> | undefined): string[] {
    const { wanted, kept: before } = this.#byAccount.get(account) ?? { wanted: new Map(), kept: new Map() };
    const wanting = wanted.get(key);
    if (wanting?.reserved === wants?.reserved && wanting?.created === wants?.created) return [];
    if (wants === undefined) wanted.delete(key);
    else wanted.set(key, { ...wants, key });
    const keys = keptReservations(wanted.values(), this.#limit);
    const kept = new Map([...wanted.values()].filter((of) => keys.has(of.key)).map((of) => [of.key, of.reserved]));
    if (wanted.size === 0) this.#byAccount.delete(account);
    else this.#byAccount.set(account, { wanted, kept });
    return [...new Set([...before.keys(), ...kept.keys()])].filter((other) => before.get(other) !== kept.get(other));
  }

  /** Whether a function wants something that the account cannot keep. */
  isRefused(account: string, key: string): boolean {
    const { wanted, kept } = this.#byAccount.get(account) ?? {};
    return wanted?.has(key) === true && kept?.has(key) === false;
  }

  /** What is set aside in an account, by function. */
  kept(account: string): ReadonlyMap<string, number> {
    return this.#byAccount.get(account)?.kept ?? new Map();
  }
}
