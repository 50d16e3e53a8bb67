import { randomBytes, randomUUID } from "node:crypto";

/** Chance, injected so that tests decide it. */
export interface Random {
  /** A UUID, version 4. */
  uuid(): string;
  /** So many hexadecimal digits. */
  hex(digits: number): string;
  /** From 0 to below 1. */
  chance(): number;
}

/** Bytes fetched from the kernel at once: each invocation needs a few, and a system call for each shows in its latency. */
const POOL_BYTES = 4096;
let pool = Buffer.alloc(0);
let used = 0;

function hex(digits: number): string {
  const bytes = Math.ceil(digits / 2);
  if (used + bytes > pool.length) {
    pool = randomBytes(Math.max(POOL_BYTES, bytes));
    used = 0;
  }
  used += bytes;
  return pool.toString("hex", used - bytes, used).slice(0, digits);
}

/** The machine's own. */
export const systemRandom: Random = { uuid: () => randomUUID(), hex, chance: Math.random };
