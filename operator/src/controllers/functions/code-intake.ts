/**
 * Takes code in: reads it from its source, compares its digest, checks it and stores it. Remembers what became of each function's
 * code, so that a change of configuration, or of another object, does not read it again.
 */
import { createHash } from "node:crypto";
import type { Function as LambdaFunction } from "../../api/types.generated.ts";
import { BusError, type PackageStore, type UserBus } from "../../bus/index.ts";
import { KappaError } from "../../domain/errors.ts";
import { MAX_DIRECT_ZIP_BYTES, MAX_UNZIPPED_BYTES } from "../../domain/package-rules.ts";
import type { Clock } from "../../kube/index.ts";
import type { ControllerMetrics } from "../../telemetry/controller-metrics.ts";
import { type CodeSource, knownOutcome } from "./code.ts";
import type { CodeOutcome } from "./decide.ts";
import type { UrlSource } from "./url-source.ts";

/** A stored package that no Function refers to yet is safe from the garbage sweep this long, milliseconds. */
const RECENT_MS = 3_600_000;

export interface CodeIntakeDeps {
  packages: Pick<PackageStore, "has" | "put">;
  userObjects: Pick<UserBus, "readObject">;
  urls: Pick<UrlSource, "download">;
  /** Rejects with a KappaError for a package that must not be stored. */
  check: (bytes: Uint8Array) => Promise<void>;
  metrics: Pick<ControllerMetrics, "packageStored">;
  clock: Clock;
}

/** What was learned about one function's code, under which identity of its source. */
interface Memory {
  identity: string;
  outcome: CodeOutcome;
}

export class CodeIntake {
  #deps: CodeIntakeDeps;
  /** By UID of the Function. */
  #memories = new Map<string, Memory>();
  /** Packages in force that the store was found not to have. */
  #lost = new Set<string>();
  /** Packages taken in lately: when, by a clock that never jumps. */
  #recent = new Map<string, number>();

  constructor(deps: CodeIntakeDeps) {
    this.#deps = deps;
  }

  /** What is known about the code without reading it. Remembers what status tells after a restart. */
  known(fn: LambdaFunction, source: CodeSource): CodeOutcome | undefined {
    const uid = fn.metadata.uid ?? "";
    const inForce = fn.status?.effective?.packageSha256;
    const outcome = knownOutcome(fn, source, this.#memories.get(uid), inForce !== undefined && this.#lost.has(inForce));
    // What is in the resources themselves costs nothing to try again.
    if (outcome?.kind === "unavailable" && source.bytes) return undefined;
    if (outcome) this.#memories.set(uid, { identity: source.identity, outcome });
    return outcome;
  }

  /** Reads the code, checks and stores it, and remembers what became of it. Never rejects for what is wrong with the code or its source. */
  async take(fn: LambdaFunction, source: CodeSource, signal: AbortSignal): Promise<CodeOutcome> {
    const outcome = await this.#take(fn, source, signal);
    this.#memories.set(fn.metadata.uid ?? "", { identity: source.identity, outcome });
    return outcome;
  }

  /** Forgets a function that is gone. */
  forget(uid: string): void {
    this.#memories.delete(uid);
  }

  /** Notes that packages in force are not in the store: their functions' code is read again. */
  lost(packages: Iterable<string>): void {
    for (const sha256 of packages) this.#lost.add(sha256);
  }

  /** Whether a package was taken in so lately that what refers to it may not be visible yet. */
  isRecent(sha256: string): boolean {
    const at = this.#recent.get(sha256);
    if (at === undefined) return false;
    if (this.#deps.clock.monotonic() - at < RECENT_MS) return true;
    this.#recent.delete(sha256);
    return false;
  }

  async #take(fn: LambdaFunction, source: CodeSource, signal: AbortSignal): Promise<CodeOutcome> {
    const { metrics } = this.#deps;
    try {
      const bytes = await this.#read(fn, source, signal);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      if (source.declaredSha256 !== undefined && source.declaredSha256 !== sha256)
        throw new KappaError("K203", `The package has SHA-256 ${sha256}, declared is ${source.declaredSha256}`);
      const unchanged = sha256 === fn.status?.effective?.packageSha256 && !this.#lost.has(sha256);
      if (!unchanged) await this.#store(sha256, bytes);
      metrics.packageStored(source.kind, unchanged ? "unchanged" : "stored");
      return { kind: "stored", stored: { sha256, size: bytes.length } };
    } catch (error) {
      if (!(error instanceof KappaError)) throw error;
      metrics.packageStored(source.kind, error.retryable ? "error" : "refused");
      return { kind: error.retryable ? "unavailable" : "refused", error };
    }
  }

  async #read(fn: LambdaFunction, source: CodeSource, signal: AbortSignal): Promise<Uint8Array> {
    const { object, url } = fn.spec.code;
    if (source.bytes) {
      const bytes = source.bytes();
      if (bytes.length > MAX_DIRECT_ZIP_BYTES)
        throw new KappaError("K205", `Zipped size must be smaller than ${MAX_DIRECT_ZIP_BYTES} bytes`);
      return bytes;
    }
    if (url) return this.#deps.urls.download(url.url, MAX_UNZIPPED_BYTES, signal);
    return this.#readObject(`${fn.metadata.namespace ?? ""}_${object?.bucket ?? ""}`, object?.key ?? "");
  }

  /** The bucket's name starts with the namespace, so that a function reaches its own namespace's buckets only. */
  async #readObject(bucket: string, key: string): Promise<Uint8Array> {
    try {
      return await this.#deps.userObjects.readObject(bucket, key, MAX_UNZIPPED_BYTES);
    } catch (error) {
      // Whatever is wrong with an object can be put right by writing it again, so it is tried again.
      if (error instanceof BusError && !error.retryable) throw new KappaError("K204", error.message, { cause: error });
      throw error;
    }
  }

  async #store(sha256: string, bytes: Uint8Array): Promise<void> {
    await this.#deps.check(bytes);
    // Before the store is asked: from now on the garbage sweep leaves it alone.
    this.#recent.set(sha256, this.#deps.clock.monotonic());
    await this.#deps.packages.put(sha256, bytes);
    this.#lost.delete(sha256);
  }
}
