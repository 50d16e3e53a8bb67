/** Downloads a package from a gateway to a file, and checks that one is that which was assigned. */
import { createWriteStream } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { PACKAGES_PATH } from "../../../../operator/src/api/environment-protocol.ts";
import { crypto, http } from "../builtins.ts";
import { DOWNLOAD } from "../limits.ts";
import { PackageError } from "./package-error.ts";

export interface PackageSource {
  /** `host:port` of the gateway's agent port. */
  gateway: string;
  /** Bearer token for it. */
  token: string;
  /** Hexadecimal. */
  sha256: string;
  /** Bytes. */
  size: number;
}

/**
 * Streams the package into `file`, at most `size` bytes of it. Failures of the way are tried again; a package that is not the
 * assigned one is not.
 * @throws PackageError
 */
export async function fetchPackage(source: PackageSource, file: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await download(source, file);
    } catch (error) {
      if (error instanceof PackageError && error.errorType === "InvalidZipFileException") throw error;
      if (attempt >= DOWNLOAD.attempts)
        throw new PackageError(
          "ServiceException",
          `The package ${source.sha256} could not be fetched in ${attempt} attempts.`,
          new Error(`gateway ${source.gateway}`, { cause: error }),
        );
      await sleep(DOWNLOAD.pauseMs * attempt);
    }
  }
}

/**
 * Checks a package that is in memory.
 * @throws PackageError when it is not the one that was assigned
 */
export function verifyPackage(assigned: Pick<PackageSource, "sha256" | "size">, bytes: Uint8Array): void {
  if (bytes.length !== assigned.size) throw invalid(assigned, `it has ${bytes.length} bytes, not the ${assigned.size} that were declared`);
  const digest = crypto.createHash("sha256").update(bytes).digest("hex");
  if (digest !== assigned.sha256) throw invalid(assigned, `its SHA-256 is ${digest}`);
}

async function download(source: PackageSource, file: string): Promise<void> {
  const response = await request(source);
  if (response.statusCode !== 200) {
    response.destroy();
    throw new PackageError("ServiceException", `the answer was HTTP ${response.statusCode}`);
  }
  const hash = crypto.createHash("sha256");
  let bytes = 0;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > source.size) return done(invalid(source, `it is longer than the ${source.size} bytes that were declared`));
      hash.update(chunk);
      done(null, chunk);
    },
  });
  await pipeline(response, check, createWriteStream(file, { mode: 0o600 }));
  if (bytes !== source.size) throw new PackageError("ServiceException", `only ${bytes} of ${source.size} bytes came`);
  const digest = hash.digest("hex");
  if (digest !== source.sha256) throw invalid(source, `its SHA-256 is ${digest}`);
}

function invalid(source: Pick<PackageSource, "sha256">, why: string): PackageError {
  return new PackageError("InvalidZipFileException", `What came is not the package ${source.sha256}: ${why}`);
}

async function request(source: PackageSource): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const url = `http://${source.gateway}${PACKAGES_PATH}${source.sha256}`;
  const outgoing = http.get(url, { agent: false, headers: { Authorization: `Bearer ${source.token}` } }, resolve);
  outgoing.setTimeout(DOWNLOAD.idleMs, () => outgoing.destroy(new Error(`nothing came for ${DOWNLOAD.idleMs / 1000} s`)));
  outgoing.once("error", reject);
  return await promise;
}
