import { randomBytes, randomUUID } from "node:crypto";

/** Chance, injected so that tests decide it. */
export interface Random {
  /** A UUID, version 4. */
  uuid(): string;
  /** So many hexadecimal digits. */
  hex(digits: number): string;
}

/** The machine's own. */
export const systemRandom: Random = {
  uuid: () => randomUUID(),
  hex: (digits) =>
    randomBytes(Math.ceil(digits / 2))
      .toString("hex")
      .slice(0, digits),
};
