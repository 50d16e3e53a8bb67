/** From an assignment to its code in place. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Assignment } from "../../../../operator/src/api/environment-protocol.ts";
import { fetchPackage, verifyPackage } from "./fetch.ts";
import { unpackBytes, unpackFile } from "./unpack.ts";

export interface Place {
  /** Folder for the archive while it is unpacked. */
  tmp: string;
  /** Where the package is unpacked; must exist. */
  unpackRoot: string;
  /** Resolves when that folder is empty; absent where it is. */
  empty: Promise<void> | undefined;
  /** File with the token for a download. */
  tokenFile: string;
}

/**
 * Puts a function's package in its place.
 * @param gateway `host:port` of the gateway's agent port
 * @param inline what came with the assignment; when that is empty the package is downloaded
 * @throws PackageError
 */
export async function placePackage(code: Assignment["code"], inline: Uint8Array, gateway: string, place: Place): Promise<void> {
  if (inline.length > 0) {
    verifyPackage(code, inline);
    await place.empty;
    await unpackBytes(inline, place.unpackRoot);
    return;
  }
  const archive = join(place.tmp, `.kappa-${code.sha256.slice(0, 16)}.zip`);
  try {
    const token = readFileSync(place.tokenFile, "utf8").trim();
    await fetchPackage({ gateway, token, ...code }, archive);
    await place.empty;
    await unpackFile(archive, place.unpackRoot);
  } finally {
    rmSync(archive, { force: true });
  }
}
