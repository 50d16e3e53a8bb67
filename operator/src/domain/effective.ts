/**
 * The configuration of a function that is in force, `status.effective`: complete, with every default filled in. An
 * update that has not been applied, or failed, leaves the former one in force; the gateway runs functions from this alone.
 */
import { createHash } from "node:crypto";
import type { FunctionEffective, Function as LambdaFunction } from "../api/types.generated.ts";

/** A configuration in force, complete. */
export type EffectiveConfiguration = FunctionEffective;

/** A package that was checked and is in the package store. */
export interface StoredPackage {
  /** SHA-256, hexadecimal: its name in the store. */
  sha256: string;
  /** Bytes of the archive. */
  size: number;
}

/** What a function becomes with this package: spec with every default filled in. */
export function effectiveConfiguration(fn: LambdaFunction, stored: StoredPackage): EffectiveConfiguration {
  const { spec } = fn;
  const { uid = "", generation = 0 } = fn.metadata;
  return {
    revisionId: revisionId({ uid, generation, packageSha256: stored.sha256 }),
    codeSha256: Buffer.from(stored.sha256, "hex").toString("base64"),
    codeSize: stored.size,
    packageSha256: stored.sha256,
    // The resource's own rules demand both of every function that is no image.
    runtime: spec.runtime ?? "",
    handler: spec.handler ?? "",
    memorySize: spec.memorySize,
    timeout: spec.timeout,
    environment: spec.environment.variables,
    ephemeralStorageMb: spec.ephemeralStorage.size,
    role: spec.role,
    architectures: spec.architectures,
    loggingConfig: { ...spec.loggingConfig, logGroup: spec.loggingConfig.logGroup ?? `/aws/lambda/${functionNameOf(fn)}` },
    ...(spec.reservedConcurrentExecutions === undefined ? {} : { reservedConcurrentExecutions: spec.reservedConcurrentExecutions }),
  };
}

/** The ServiceAccount that a function acts as; every namespace has `default`. */
export function roleOf({ role }: Pick<EffectiveConfiguration, "role">): string {
  return role ?? "default";
}

/** Lambda's name of a function. */
export function functionNameOf(fn: LambdaFunction): string {
  return fn.spec.functionName ?? fn.metadata.name;
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
