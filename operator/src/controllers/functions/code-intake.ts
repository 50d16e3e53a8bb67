/**
 * Takes code in: reads it from its source, compares its digest, checks it and stores it. Remembers what became of each function's
 * code, so that a change of configuration, or of another object, does not read it again.
 */
import type { Function as LambdaFunction } from "../../api/types.generated.ts";
import { BusError, type PackageStore, type UserBus } from "../../bus/index.ts";
import { KappaError } from "../../domain/errors.ts";
import { MAX_DIRECT_ZIP_BYTES, MAX_UNZIPPED_BYTES } from "../../domain/package-rules.ts";
import type { Clock } from "../../kube/index.ts";
import type { ControllerMetrics } from "../../telemetry/controller-metrics.ts";
import { type CodeSource, knownOutcome } from "./code.ts";
import type { CodeOutcome } from "./decide.ts";
import { type HeldPackage, type Scratch, withStream } from "./scratch.ts";
import type { UrlSource } from "./url-source.ts";

/** A stored package that no Function refers to yet is safe from the garbage sweep this long, milliseconds. */
const RECENT_MS = 3_600_000;

export interface CodeIntakeDeps {
  packages: Pick<PackageStore, "has" | "put">;
  userObjects: Pick<UserBus, "openObject">;
  urls: Pick<UrlSource, "download">;
  scratch: Pick<Scratch, "hold">;
  /** Rejects with a KappaError for a package that must not be stored. */
  check: (held: HeldPackage) => Promise<void>;
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
      const { content, maxBytes } = await this.#open(fn, source, signal);
      return await this.#deps.scratch.hold(content, maxBytes, async (held) => {
        const { sha256, size } = held;
        if (source.declaredSha256 !== undefined && source.declaredSha256 !== sha256)
          throw new KappaError("K203", `The package has SHA-256 ${sha256}, declared is ${source.declaredSha256}`);
        const unchanged = sha256 === fn.status?.effective?.packageSha256 && !this.#lost.has(sha256);
        if (!unchanged) await this.#store(held);
        metrics.packageStored(source.kind, unchanged ? "unchanged" : "stored");
        return { kind: "stored", stored: { sha256, size } };
      });
    } catch (error) {
      if (!(error instanceof KappaError)) throw error;
      metrics.packageStored(source.kind, error.retryable ? "error" : "refused");
      return { kind: error.retryable ? "unavailable" : "refused", error };
    }
  }

  async #open(fn: LambdaFunction, source: CodeSource, signal: AbortSignal): Promise<{ content: Content; maxBytes: number }> {
    const { object, url } = fn.spec.code;
    if (source.bytes) return { content: [await source.bytes()], maxBytes: MAX_DIRECT_ZIP_BYTES };
    const maxBytes = MAX_UNZIPPED_BYTES;
    if (url) return { content: await this.#deps.urls.download(url.url, maxBytes, signal), maxBytes };
    // The bucket's name starts with the namespace, so that a function reaches its own namespace's buckets only.
    return { content: this.#readObject(`${fn.metadata.namespace ?? ""}_${object?.bucket ?? ""}`, object?.key ?? ""), maxBytes };
  }

  async *#readObject(bucket: string, key: string): AsyncGenerator<Uint8Array> {
    try {
      const { stream } = await this.#deps.userObjects.openObject(bucket, key);
      yield* stream;
    } catch (error) {
      // Whatever is wrong with an object can be put right by writing it again, so it is tried again.
      if (error instanceof BusError && !error.retryable) throw new KappaError("K204", error.message, { cause: error });
      throw error;
    }
  }

  async #store(held: HeldPackage): Promise<void> {
    await this.#deps.check(held);
    // Before the store is asked: from now on the garbage sweep leaves it alone.
    this.#recent.set(held.sha256, this.#deps.clock.monotonic());
    await withStream(held, (open) => this.#deps.packages.put(held.sha256, open));
    this.#lost.delete(held.sha256);
  }
}

type Content = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
