/** The 12-digit account id of a namespace: deterministic, so that a namespace keeps it, and unique among those in use. */
import { createHash } from "node:crypto";

/** How many candidates are tried; with fewer than a million accounts even the second is hardly ever needed. */
const MAX_PROBES = 1000;

/** Whether `text` is a well-formed account id: 12 digits. An administrator may have chosen one that starts with 0. */
export function isAccountId(text: string | undefined): text is string {
  return text !== undefined && /^[0-9]{12}$/.test(text);
}

/**
 * The account id for a namespace that has none.
 * @param namespaceUid `metadata.uid` of the namespace: unlike its name it is never used again
 * @param taken whether another namespace has this id
 * @throws RangeError when every candidate is taken
 */
export function chooseAccountId(namespaceUid: string, taken: (id: string) => boolean): string {
  for (let probe = 0; probe < MAX_PROBES; probe++) {
    const digest = createHash("sha256").update(`${namespaceUid}/${probe}`).digest();
    // No leading zero: the id survives tools that take it for a number.
    const id = String((digest.readBigUInt64BE(0) % 900_000_000_000n) + 100_000_000_000n);
    if (!taken(id)) return id;
  }
  throw new RangeError(`no free account id for namespace ${namespaceUid} after ${MAX_PROBES} candidates`);
}
