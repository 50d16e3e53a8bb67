import type { IncomingMessage } from "node:http";

/** Why a body was not read. */
export type BodyProblem = "tooLarge" | "aborted";

/** What is too large is read on to here, so that the caller reads our answer instead of a reset connection. */
const MAX_DROPPED = 64 * 1024 * 1024;

/** Reads a body of at most `limit` bytes and calls back once. Without promises: this is on every invocation's way. */
export function readBody(request: IncomingMessage, limit: number, done: (body: Buffer | BodyProblem) => void): void {
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  let size = 0;
  let finished = false;
  const finish = (body: Buffer | BodyProblem) => {
    if (finished) return;
    finished = true;
    done(body);
  };
  if (Number(request.headers["content-length"] ?? 0) > MAX_DROPPED) {
    finish("tooLarge");
    return;
  }
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > limit) {
      more = undefined;
      if (size > MAX_DROPPED) finish("tooLarge");
    } else if (!first) first = chunk;
    else if (more) more.push(chunk);
    else more = [first, chunk];
  });
  request.on("end", () => {
    if (size > limit) finish("tooLarge");
    else finish(more ? Buffer.concat(more, size) : (first ?? EMPTY));
  });
  request.on("close", () => finish("aborted"));
  request.on("error", () => finish("aborted"));
}

const EMPTY = Buffer.alloc(0);
