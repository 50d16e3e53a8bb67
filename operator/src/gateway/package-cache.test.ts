import { createHash } from "node:crypto";
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BusError } from "../bus/errors.ts";
import { createGatewayMetrics } from "../telemetry/gateway-metrics.ts";
import { createLogger } from "../telemetry/log.ts";
import { PackageCache } from "./package-cache.ts";

const log = createLogger({ component: "gateway", level: "silent" });
let directory: string;
let opened: string[];
let away: boolean;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "kappa-package-cache-"));
  [opened, away] = [[], false];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const content = (name: string) => Buffer.from(name.repeat(100));
const digest = (name: string) => createHash("sha256").update(content(name)).digest("hex");
const names = new Map(["a", "b", "c"].map((name) => [digest(name), name]));

const open = (maxBytes = 10_000) =>
  PackageCache.open({
    directory,
    maxBytes,
    log,
    metrics: createGatewayMetrics(),
    store: {
      async open(sha256) {
        if (away) throw new BusError("NATS is away", { retryable: true });
        const name = names.get(sha256);
        if (name === undefined) throw new BusError("not stored", { retryable: false, notFound: true });
        opened.push(name);
        const bytes = content(name);
        return { size: bytes.length, stream: new Blob([bytes]).stream() as ReadableStream<Uint8Array> };
      },
    },
  });

const read = async (cache: PackageCache, name: string) => (await buffer((await cache.get(digest(name))).stream)).toString();

test("a package is fetched once, however many agents ask, and served while the store is away", async () => {
  const cache = await open();
  const all = await Promise.all(Array.from({ length: 5 }, () => read(cache, "a")));
  expect(new Set(all)).toEqual(new Set([content("a").toString()]));
  away = true;
  expect(await read(cache, "a")).toBe(content("a").toString());
  expect(opened).toEqual(["a"]);
  await expect(cache.get(digest("b"))).rejects.toThrow("NATS is away");
});

test("what was used longest ago makes room", async () => {
  const cache = await open(200);
  await read(cache, "a");
  await read(cache, "b");
  await read(cache, "a");
  await read(cache, "c");
  expect((await readdir(directory)).sort()).toEqual([digest("a"), digest("c")].sort());
});

test("what an earlier process left is used, and what it did not finish is removed", async () => {
  await writeFile(join(directory, digest("a")), content("a"));
  await writeFile(join(directory, `${digest("b")}.0.part`), "half");
  const cache = await open();
  expect(await read(cache, "a")).toBe(content("a").toString());
  expect(opened).toEqual([]);
  expect(await readdir(directory)).toEqual([digest("a")]);
});

test("a file that somebody removed is fetched again", async () => {
  const cache = await open();
  await read(cache, "a");
  await rm(join(directory, digest("a")));
  expect(await read(cache, "a")).toBe(content("a").toString());
  expect(opened).toEqual(["a", "a"]);
});

test("a disk that cannot be written to costs speed, not the package", async () => {
  const cache = await open();
  await rm(directory, { recursive: true });
  await writeFile(directory, "no folder");
  await chmod(directory, 0o400);
  expect(await read(cache, "a")).toBe(content("a").toString());
});

test("a package that is not stored is an error of the store, and nothing of it stays", async () => {
  const cache = await open();
  await expect(cache.get("f".repeat(64))).rejects.toMatchObject({ notFound: true });
  expect(await readdir(directory)).toEqual([]);
});

test("a small package that was fetched ahead is at hand, without the disk or the store", async () => {
  const cache = await open();
  expect(await cache.fetchAhead(digest("a"))).toBe(true);
  await rm(join(directory, digest("a")));
  away = true;
  expect(Buffer.from(cache.inMemory(digest("a")) ?? []).toString()).toBe(content("a").toString());
});

test("a small package that is not at hand is so the next time", async () => {
  const cache = await open();
  expect(cache.inMemory(digest("a"))).toBeUndefined();
  await expect.poll(() => cache.inMemory(digest("a"))?.length).toBe(content("a").length);
  expect(opened).toEqual(["a"]);
});

test("a package that cannot be fetched ahead is no failure of anybody", async () => {
  const cache = await open();
  away = true;
  expect(await cache.fetchAhead(digest("a"))).toBe(true);
  expect(cache.inMemory(digest("a"))).toBeUndefined();
});
