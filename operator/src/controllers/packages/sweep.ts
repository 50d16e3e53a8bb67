/** The slow sweep over the package store: takes out what nobody needs and has missing packages fetched again. */
import type { Function as LambdaFunction, LayerVersion, Version } from "../../api/types.generated.ts";
import { objectKey, sleep } from "../../kube/index.ts";
import type { Cache, Controller, ControllerContext } from "../context.ts";
import type { CodeIntake } from "../functions/code-intake.ts";
import { decideSweep, type PackageInfo } from "./decide.ts";

/** From the start of a term to its first sweep, and between sweeps, milliseconds. */
const FIRST_SWEEP_MS = 30_000;
const SWEEP_INTERVAL_MS = 600_000;

/** What the sweep needs of the package store. */
export interface PackageInventory {
  list(): Promise<PackageInfo[]>;
  /** Removes a package; does nothing when it is not there. */
  delete(sha256: string): Promise<void>;
}

export interface PackageSweepDeps extends ControllerContext {
  packages: PackageInventory;
  functions: Cache<LambdaFunction>;
  versions: Cache<Version>;
  layerVersions: Cache<LayerVersion>;
  intake: Pick<CodeIntake, "isRecent" | "lost">;
  /** Has a Function reconciled again. */
  requeue: (fn: LambdaFunction) => void;
}

/** Makes the sweep. */
export function packageSweep(deps: PackageSweepDeps): Controller {
  const { packages, functions, versions, layerVersions, intake, clock, log } = deps;
  const stopping = new AbortController();
  let loop: Promise<void> | undefined;
  let unreferencedSince: ReadonlyMap<string, number> = new Map();

  async function run(signal: AbortSignal): Promise<void> {
    await sleep(clock, FIRST_SWEEP_MS, signal);
    while (!signal.aborted) {
      try {
        await sweep(signal);
      } catch (error) {
        log.warn(`sweeping packages: ${error instanceof Error ? error.message : String(error)}`);
      }
      await sleep(clock, SWEEP_INTERVAL_MS, signal);
    }
  }

  async function sweep(signal: AbortSignal): Promise<void> {
    // The store first: a package that is taken in while it is read is then not judged at all.
    const stored = await packages.list();
    const decision = decideSweep({
      stored,
      referenced: references(),
      unreferencedSince,
      isRecent: (sha256) => intake.isRecent(sha256),
      now: clock.now(),
    });
    unreferencedSince = decision.unreferencedSince;
    heal(decision.missing);
    for (const sha256 of decision.remove) {
      if (signal.aborted) return;
      // Deciding took no time, but deleting the ones before did.
      if (intake.isRecent(sha256) || references().has(sha256)) continue;
      await packages.delete(sha256);
      log.info(`package ${sha256} removed: nothing has referred to it for an hour`);
    }
  }

  function references(): Set<string> {
    const all = new Set<string | undefined>();
    for (const { status } of functions.list()) all.add(status?.effective?.packageSha256);
    // By spec: one that is restored, or waits for its function, needs its package before status says so.
    for (const { spec } of versions.list()) all.add(spec.code?.package?.sha256);
    for (const { status } of layerVersions.list()) all.add(status?.packageSha256);
    return new Set([...all].filter((sha256) => sha256 !== undefined));
  }

  function heal(missing: readonly string[]): void {
    const lost = new Set(missing);
    const stranded = versions.list().filter(({ spec }) => lost.has(spec.code?.package?.sha256 ?? ""));
    if (stranded.length > 0)
      log.warn(
        `${stranded.length} versions have a package that is not in the store any more, such as ${objectKey(stranded[0]?.metadata ?? { name: "" })}`,
      );
    const affected = functions.list().filter((fn) => lost.has(fn.status?.effective?.packageSha256 ?? ""));
    if (affected.length === 0) return;
    log.warn(`${missing.length} packages are not in the store any more; the code of ${affected.length} functions is read again`);
    intake.lost(missing);
    for (const fn of affected) deps.requeue(fn);
  }

  return {
    start() {
      loop ??= run(stopping.signal);
    },
    async stop() {
      stopping.abort();
      await loop;
    },
  };
}
