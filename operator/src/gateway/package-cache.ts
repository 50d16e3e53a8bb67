import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { INLINE_PACKAGE } from "../api/environment-protocol.ts";
import type { PackageStore } from "../bus/index.ts";
import { KappaError } from "../domain/errors.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Logger } from "../telemetry/log.ts";

const SHA256_HEX = /^[0-9a-f]{64}$/;
/** Bytes of small packages kept in memory besides, where they are at hand when an assignment is sent. */
const MEMORY_BYTES = 16 * 1024 * 1024;

export interface PackageCacheOptions {
  directory: string;
  /** Bytes kept; the package used longest ago goes first. */
  maxBytes: number;
  store: Pick<PackageStore, "open">;
  metrics: GatewayMetrics;
  log: Logger;
}

/** A package on its way to an agent. */
export interface OpenPackage {
  size: number;
  stream: Readable;
}

/** Packages by digest on local disk in front of the store: each is fetched once, and served while NATS is away. */
export class PackageCache {
  readonly #options: PackageCacheOptions;
  /** Sizes, least recently used first. */
  readonly #files = new Map<string, number>();
  readonly #fetching = new Map<string, Promise<void>>();
  #bytes = 0;
  /** Small packages, least recently used first. */
  readonly #memory = new Map<string, Buffer>();
  #memoryBytes = 0;

  private constructor(options: PackageCacheOptions) {
    this.#options = options;
  }

  /** Opens the cache, keeping what an earlier process left in the directory. */
  static async open(options: PackageCacheOptions): Promise<PackageCache> {
    const cache = new PackageCache(options);
    await mkdir(options.directory, { recursive: true });
    const found: { name: string; size: number; used: number }[] = [];
    for (const name of await readdir(options.directory)) {
      const path = join(options.directory, name);
      if (!SHA256_HEX.test(name)) await rm(path, { recursive: true, force: true });
      else {
        const { size, mtimeMs } = await stat(path);
        found.push({ name, size, used: mtimeMs });
      }
    }
    for (const { name, size } of found.sort((a, b) => a.used - b.used)) cache.#keep(name, size);
    await cache.#evict();
    return cache;
  }

  /**
   * Opens a package. The reader must check the digest: an agent does.
   * @throws BusError when it is neither here nor can be fetched
   */
  async get(sha256: string): Promise<OpenPackage> {
    const { metrics, store, log } = this.#options;
    try {
      const hit = await this.#read(sha256);
      if (hit) {
        metrics.packageServed("hit");
        return hit;
      }
      await this.#fetch(sha256);
      const fetched = await this.#read(sha256);
      if (fetched) {
        metrics.packageServed("miss");
        return fetched;
      }
    } catch (err) {
      if (err instanceof KappaError) {
        metrics.packageServed("error");
        throw err;
      }
      // A full or broken disk costs speed, not the invocation.
      log.warn({ err, sha256 }, "the package cache cannot be used; streaming from the store");
    }
    const { size, stream } = await store.open(sha256);
    metrics.packageServed("miss");
    return { size, stream: Readable.fromWeb(stream) };
  }

  /** A small package, where it is in memory; if not, it is the next time. The reader must check the digest. */
  inMemory(sha256: string): Uint8Array | undefined {
    const bytes = this.#memory.get(sha256);
    if (!bytes) {
      void this.#remember(sha256);
      return undefined;
    }
    this.#memory.delete(sha256);
    this.#memory.set(sha256, bytes);
    return bytes;
  }

  /**
   * Fetches a package ahead of its use; a small one into memory as well, as long as it takes the place of no other there.
   * @returns whether there is room for more in memory
   */
  async fetchAhead(sha256: string): Promise<boolean> {
    if (this.#memoryBytes > MEMORY_BYTES - INLINE_PACKAGE) return false;
    if (!this.#memory.has(sha256)) await this.#remember(sha256);
    return true;
  }

  async #remember(sha256: string): Promise<void> {
    try {
      if (!this.#files.has(sha256)) await this.#fetch(sha256);
      if ((this.#files.get(sha256) ?? Number.POSITIVE_INFINITY) > INLINE_PACKAGE || this.#memory.has(sha256)) return;
      const bytes = await readFile(join(this.#options.directory, sha256));
      if (this.#memory.has(sha256)) return;
      this.#memory.set(sha256, bytes);
      this.#memoryBytes += bytes.length;
      for (const [oldest, { length }] of this.#memory) {
        if (this.#memoryBytes <= MEMORY_BYTES) return;
        this.#memory.delete(oldest);
        this.#memoryBytes -= length;
      }
    } catch (err) {
      // Whoever needs it fetches it from the store, and hears what is wrong.
      this.#options.log.info({ err, sha256 }, "a package could not be taken into memory");
    }
  }

  async #read(sha256: string): Promise<OpenPackage | undefined> {
    const size = this.#files.get(sha256);
    if (size === undefined) return undefined;
    try {
      // Opened before it may be evicted: an open file can be read to its end.
      const file = await open(join(this.#options.directory, sha256), "r");
      this.#files.delete(sha256);
      this.#files.set(sha256, size);
      return { size, stream: file.createReadStream() };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      this.#forget(sha256);
      return undefined;
    }
  }

  #fetch(sha256: string): Promise<void> {
    let fetching = this.#fetching.get(sha256);
    if (!fetching) {
      fetching = this.#download(sha256).finally(() => this.#fetching.delete(sha256));
      this.#fetching.set(sha256, fetching);
    }
    return fetching;
  }

  async #download(sha256: string): Promise<void> {
    const part = join(this.#options.directory, `${sha256}.${randomUUID()}.part`);
    try {
      const { size, stream } = await this.#options.store.open(sha256);
      await pipeline(Readable.fromWeb(stream), createWriteStream(part, { flags: "wx", mode: 0o600 }));
      await rename(part, join(this.#options.directory, sha256));
      this.#keep(sha256, size);
    } finally {
      await rm(part, { force: true });
    }
    await this.#evict();
  }

  #keep(sha256: string, size: number): void {
    this.#forget(sha256);
    this.#files.set(sha256, size);
    this.#bytes += size;
  }

  #forget(sha256: string): void {
    this.#bytes -= this.#files.get(sha256) ?? 0;
    this.#files.delete(sha256);
  }

  async #evict(): Promise<void> {
    for (const oldest of this.#files.keys()) {
      // The newest stays even when it alone is too large: somebody is about to read it.
      if (this.#bytes <= this.#options.maxBytes || this.#files.size === 1) return;
      this.#forget(oldest);
      await rm(join(this.#options.directory, oldest), { force: true });
    }
  }
}
