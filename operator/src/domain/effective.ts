/**
 * The configuration of a function that is in force, `status.effective`: complete, with every default filled in. An
 * update that has not been applied, or failed, leaves the former one in force; the gateway runs functions from this alone.
 */
import { createHash } from "node:crypto";
import type { FunctionEffective, Function as LambdaFunction, Version } from "../api/types.generated.ts";

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
  const { uid = "", generation = 0 } = fn.metadata;
  const { reservedConcurrentExecutions } = fn.spec;
  return {
    revisionId: revisionId({ uid, generation, packageSha256: stored.sha256 }),
    ...configured(fn.spec, functionNameOf(fn), stored),
    ...(reservedConcurrentExecutions === undefined ? {} : { reservedConcurrentExecutions }),
  };
}

/** The configuration of a version: what was published, which nothing changes any more. Undefined while it is not published. */
export function versionConfiguration(version: Version): EffectiveConfiguration | undefined {
  const { spec, metadata } = version;
  const { memorySize, timeout, environment, ephemeralStorage, role, architectures, loggingConfig } = spec;
  const stored = spec.code?.package;
  // The resource's own rules demand all of them together.
  if (stored === undefined || memorySize === undefined || timeout === undefined || role === undefined) return undefined;
  if (ephemeralStorage === undefined || architectures === undefined || loggingConfig === undefined) return undefined;
  const frozen = {
    ...spec,
    memorySize,
    timeout,
    role,
    ephemeralStorage,
    architectures,
    loggingConfig,
    environment: environment ?? { variables: {} },
  };
  return {
    revisionId: revisionId({ uid: metadata.uid ?? "", generation: spec.version ?? 0, packageSha256: stored.sha256 }),
    ...configured(frozen, spec.functionName, stored),
  };
}

type Configured = Pick<
  LambdaFunction["spec"],
  "runtime" | "handler" | "memorySize" | "timeout" | "environment" | "ephemeralStorage" | "role" | "architectures" | "loggingConfig"
>;

function configured(spec: Configured, functionName: string, stored: StoredPackage): Omit<EffectiveConfiguration, "revisionId"> {
  return {
    codeSha256: Buffer.from(stored.sha256, "hex").toString("base64"),
    codeSize: stored.size,
    packageSha256: stored.sha256,
    // The resource's own rules demand both of everything that is no image.
    runtime: spec.runtime ?? "",
    handler: spec.handler ?? "",
    memorySize: spec.memorySize,
    timeout: spec.timeout,
    environment: spec.environment.variables,
    ephemeralStorageMb: spec.ephemeralStorage.size,
    role: spec.role,
    architectures: spec.architectures,
    loggingConfig: { ...spec.loggingConfig, logGroup: spec.loggingConfig.logGroup ?? `/aws/lambda/${functionName}` },
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
  return uuid(`${of.uid}/${of.generation}/${of.packageSha256}`);
}

/** The revision of an object whose spec is all there is to it: an alias. */
export function objectRevisionId(of: { uid?: string; generation?: number }): string {
  return uuid(`${of.uid ?? ""}/${of.generation ?? 0}`);
}

function uuid(of: string): string {
  const bytes = createHash("sha256").update(of).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/**
 * `Assignment.assignmentId`: which function, which version of it, made of what: environments with different ids never share events, and those of an
 * id that is not in force any more are retired. It changes with what an environment is made of and with nothing else: a new
 * description, tag or reserved concurrency is a new revision (`effective.revisionId`) and replaces no environment.
 * @param of.uid UID of the Function, of its versions too
 * @param of.version `$LATEST` or the number of a version
 */
export function runnableId(of: { uid: string; version: string; effective: EffectiveConfiguration }): string {
  const { revisionId: _revision, reservedConcurrentExecutions: _reserved, codeSha256: _code, codeSize: _size, ...made } = of.effective;
  return `${of.uid}/${of.version}/${createHash("sha256").update(canonical(made)).digest("hex").slice(0, 32)}`;
}

/** One text for equal values: the API server and this process need not keep members in the same order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
