/** A long text of which every part differs: what is lost, doubled or in the wrong order changes its digest. */
import { createHash } from "node:crypto";

/** Yields `length` bytes in pieces of 64 KiB, each filled with the digest of its number. */
export function* pattern(length) {
  const piece = 64 * 1024;
  for (let at = 0; at < length; at += piece) {
    const digest = createHash("sha256").update(String(at)).digest();
    yield Buffer.alloc(Math.min(piece, length - at), digest);
  }
}
