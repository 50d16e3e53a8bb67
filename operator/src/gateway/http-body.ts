import type { IncomingMessage } from "node:http";

/** Why a body was not read. `noMemory`: too much is held already. */
export type BodyProblem = "tooLarge" | "aborted" | "noMemory";

/** What a body is charged to. */
export interface Budget {
  /** Takes so many bytes, if they are there. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

/** Bytes of payloads that a process holds at once, so that many large ones cannot end it. */
export class PayloadBudget implements Budget {
  readonly #max: number;
  readonly #maxOfAddress: number;
  #held = 0;
  /** What is held for source addresses; only those for which something is. */
  readonly #heldFor = new Map<string, number>();

  /**
   * @param max bytes
   * @param maxOfAddress how many of them one source address may hold
   */
  constructor(max: number, maxOfAddress = max) {
    this.#max = max;
    this.#maxOfAddress = maxOfAddress;
  }

  /** The part of it that is there for one source address. */
  of(address: string): Budget {
    return {
      take: (bytes) => {
        const held = (this.#heldFor.get(address) ?? 0) + bytes;
        if (held > this.#maxOfAddress || !this.take(bytes)) return false;
        this.#heldFor.set(address, held);
        return true;
      },
      give: (bytes) => {
        const held = (this.#heldFor.get(address) ?? 0) - bytes;
        if (held > 0) this.#heldFor.set(address, held);
        else this.#heldFor.delete(address);
        this.give(bytes);
      },
    };
  }

  take(bytes: number): boolean {
    if (this.#held + bytes > this.#max) return false;
    this.#held += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

/** What is too large is read on to here, so that the caller reads our answer instead of a reset connection. */
const MAX_DROPPED = 64 * 1024 * 1024;
const EMPTY = Buffer.alloc(0);

/**
 * Reads a body of at most `limit` bytes and calls back once. Without promises: this is on every invocation's way. The bytes of a
 * body that was read belong to the caller, who gives them back to the budget.
 */
export function readBody(request: IncomingMessage, limit: number, budget: Budget, done: (body: Buffer | BodyProblem) => void): void {
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  let size = 0;
  let taken = 0;
  let problem: BodyProblem | undefined;
  let finished = false;
  const finish = (body: Buffer | BodyProblem) => {
    if (finished) return;
    finished = true;
    if (typeof body === "string") budget.give(taken);
    done(body);
  };
  if (Number(request.headers["content-length"] ?? 0) > MAX_DROPPED) {
    finish("tooLarge");
    return;
  }
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > limit) problem = "tooLarge";
    else if (!problem) {
      // What was not taken must not be given back, or the budget would grow with every body that it refuses.
      if (budget.take(chunk.length)) taken += chunk.length;
      else problem = "noMemory";
    }
    if (problem) {
      first = undefined;
      more = undefined;
      if (size > MAX_DROPPED) finish(problem);
    } else if (!first) first = chunk;
    else if (more) more.push(chunk);
    else more = [first, chunk];
  });
  request.on("end", () => finish(problem ?? (more ? Buffer.concat(more, size) : (first ?? EMPTY))));
  request.on("close", () => finish("aborted"));
  request.on("error", () => finish("aborted"));
}
