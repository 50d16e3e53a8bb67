import { parseKey } from "../../kube/index.ts";

/**
 * How much of each account is set aside: reserved by functions, or provisioned for those that have nothing reserved. One leader decides,
 * so what it has granted counts at once and not when a watch brings it back.
 */
export class Claims {
  #byAccount = new Map<string, Map<string, { reserved?: number; provisioned: number }>>();

  /** @param key of the function */
  reserve(key: string, reserved: number | undefined): void {
    const { provisioned } = this.#of(key);
    this.#set(key, { provisioned, ...(reserved === undefined ? {} : { reserved }) });
  }

  provision(key: string, provisioned: number): void {
    this.#set(key, { ...this.#of(key), provisioned });
  }

  /** What the other functions of the account have set aside. */
  others(key: string): number {
    let sum = 0;
    for (const [other, { reserved, provisioned }] of this.#byAccount.get(accountOf(key)) ?? [])
      if (other !== key) sum += reserved ?? provisioned;
    return sum;
  }

  #of(key: string): { reserved?: number; provisioned: number } {
    return this.#byAccount.get(accountOf(key))?.get(key) ?? { provisioned: 0 };
  }

  #set(key: string, claim: { reserved?: number; provisioned: number }): void {
    const account = accountOf(key);
    const claims = this.#byAccount.get(account) ?? new Map();
    if (claim.reserved === undefined && claim.provisioned === 0) claims.delete(key);
    else claims.set(key, claim);
    if (claims.size === 0) this.#byAccount.delete(account);
    else this.#byAccount.set(account, claims);
  }
}

const accountOf = (key: string): string => parseKey(key).namespace ?? "";
