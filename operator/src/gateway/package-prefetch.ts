import { INLINE_PACKAGE } from "../api/environment-protocol.ts";
import type { FunctionEntry } from "./function-entry.ts";
import type { FunctionRegistry } from "./function-registry.ts";
import type { PackageCache } from "./package-cache.ts";

export interface PackagePrefetchOptions {
  registry: FunctionRegistry;
  packages: Pick<PackageCache, "fetchAhead">;
  /** Whether this gateway owns a function, by its key. */
  isOwner(key: string): boolean;
}

/** Fetches the small packages of this gateway's functions before they are needed, one after the other, as far as memory allows. */
export class PackagePrefetch {
  readonly #options: PackagePrefetchOptions;
  readonly #wanted = new Set<string>();
  #running = false;
  #stopped = false;

  constructor(options: PackagePrefetchOptions) {
    this.#options = options;
    options.registry.subscribe((_, entry) => {
      if (entry) this.#want(entry);
    });
  }

  /** This gateway owns other functions than before. */
  ownersChanged(): void {
    for (const entry of this.#options.registry.entries()) this.#want(entry);
  }

  stop(): void {
    this.#stopped = true;
  }

  #want(entry: FunctionEntry): void {
    if (!this.#options.isOwner(entry.key)) return;
    for (const runnable of [entry.runnable, ...entry.versions.values()])
      if (runnable && runnable.effective.codeSize <= INLINE_PACKAGE) this.#wanted.add(runnable.effective.packageSha256);
    void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      for (const sha256 of this.#wanted) {
        if (this.#stopped) return;
        this.#wanted.delete(sha256);
        if (!(await this.#options.packages.fetchAhead(sha256))) this.#wanted.clear();
      }
    } finally {
      this.#running = false;
    }
  }
}
