/**
 * The configuration of a function that is in force: what `status.effective` holds, complete, with every default filled in. An
 * update that has not been applied, or failed, leaves the former one in force; the gateway runs functions from this alone.
 */
import { createHash } from "node:crypto";

export interface EffectiveConfiguration {
  /** UUID-shaped; changes with code and with configuration. */
  revisionId: string;
  /** SHA-256 of the package, base64, as Lambda's API shows it. */
  codeSha256: string;
  /** Bytes of the package as an archive. */
  codeSize: number;
  /** SHA-256 of the package, hexadecimal: its name in the package store. */
  packageSha256: string;
  runtime: string;
  handler: string;
  /** MiB. */
  memorySize: number;
  /** Seconds. */
  timeout: number;
  environment: Record<string, string>;
  /** Size of `/tmp`, MiB. */
  ephemeralStorageMb: number;
  /** Name of the ServiceAccount that the function runs as; absent: no permissions. */
  role?: string;
  architectures: ("x86_64" | "arm64")[];
  loggingConfig: { logFormat: "Text" | "JSON"; logGroup: string; applicationLogLevel?: string; systemLogLevel?: string };
  /** Absent: the function shares the account's unreserved concurrency. */
  reservedConcurrentExecutions?: number;
}

/**
 * The revision of a function's code and configuration, in the shape of a UUID (version 8, RFC 9562: vendor-specific). Equal input
 * gives an equal id, so a controller that computes it again writes nothing.
 */
export function revisionId(of: { uid: string; generation: number; packageSha256: string }): string {
  const bytes = createHash("sha256").update(`${of.uid}/${of.generation}/${of.packageSha256}`).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** `Assignment.assignmentId`: which function, which version of it, which revision. Environments with different ids never share events. */
export function assignmentId(of: { uid: string; version: string; revisionId: string }): string {
  return `${of.uid}/${of.version}/${of.revisionId}`;
}
