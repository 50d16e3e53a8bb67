import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BuiltImage, ImageBuilder } from "./builder.ts";
import type { Contents } from "./contents.ts";
import type { ImageEngine } from "./engine.ts";
import type { LayerRecipe } from "./recipes.ts";

let folder: string;
let built: string[];
let stored: Map<string, string>;
/** What is found in the next archive. */
let contents: Contents;
/** What the engine does next instead of building; for interruptions. */
let interrupt: Error | undefined;

/** An engine whose images are the text of their files. */
const engine: ImageEngine = {
  has: async (reference) => stored.has(reference),
  build: async ({ reference, context, base }) => {
    if (interrupt !== undefined) throw interrupt;
    const texts = await Promise.all((await readdir(context)).map((name) => readFile(join(context, name), "utf8")));
    stored.set(reference, `${base === undefined ? "" : stored.get(base)}${texts.join("")}`);
    built.push(reference);
  },
  save: async (reference, archive) => writeFile(archive, stored.get(reference) ?? ""),
  remove: async (reference) => {
    stored.delete(reference);
  },
};

const base: LayerRecipe = { kind: "layer", repository: "kappa/base", containerfile: "Containerfile", context: { "base.txt": "base.txt" } };
const image: LayerRecipe = {
  kind: "layer",
  repository: "kappa/image",
  containerfile: "Containerfile",
  context: { "code.txt": "code.txt" },
  base,
};

const make = (): Promise<BuiltImage> =>
  new ImageBuilder({
    engine,
    checkout: folder,
    folder: join(folder, "cache"),
    logFile: join(folder, "log"),
    contentsOf: async () => contents,
    note: () => {},
  }).archive("image", image);
const code = (text: string): Promise<void> => writeFile(join(folder, "code.txt"), text);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kappa-builder-"));
  built = [];
  stored = new Map();
  interrupt = undefined;
  contents = { unpackedBytes: 100, compressedBytes: 50, packageManagers: [] };
  await mkdir(join(folder, "cache"));
  await Promise.all([writeFile(join(folder, "Containerfile"), "FROM scratch"), writeFile(join(folder, "base.txt"), "base,"), code("1")]);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("an image is built on its base, once", async () => {
  const first = await make();
  expect(await readFile(first.archive, "utf8")).toBe("base,1");
  expect(first).toMatchObject({ built: true, bytes: 6, unpackedBytes: 100, compressedBytes: 50 });
  expect(built).toHaveLength(2);
  expect(await make()).toEqual({ ...first, built: false });
  expect(built).toHaveLength(2);
});

test("after a change only the changed layer is built, and going back needs nothing", async () => {
  const first = await make();
  await code("2");
  const second = await make();
  expect(built.map((reference) => reference.split(":")[0])).toEqual(["kappa/base", "kappa/image", "kappa/image"]);
  expect(await readFile(second.archive, "utf8")).toBe("base,2");
  await code("1");
  expect(await make()).toEqual({ ...first, built: false });
});

test("an archive that is not what was written is made again, from the engine's store", async () => {
  const { archive } = await make();
  await writeFile(archive, "half");
  expect(await make()).toMatchObject({ archive, built: true });
  expect(await readFile(archive, "utf8")).toBe("base,1");
  expect(built).toHaveLength(2);
});

test("an interrupted build leaves nothing that counts as built", async () => {
  interrupt = new Error("killed");
  await expect(make()).rejects.toThrow("killed");
  interrupt = undefined;
  expect(await make()).toMatchObject({ built: true });
  expect(await readdir(join(folder, "cache", "contexts"))).toEqual([]);
});

test("archives of the last states are kept, older ones and their images go, and bases stay", async () => {
  for (const text of ["1", "2", "3", "4", "5"]) {
    await code(text);
    await make();
  }
  const archives = (await readdir(join(folder, "cache", "archives"))).filter((name) => name.endsWith(".tar"));
  expect(archives).toHaveLength(3);
  expect([...stored.keys()].filter((reference) => reference.startsWith("kappa/image:"))).toHaveLength(3);
  expect([...stored.keys()].filter((reference) => reference.startsWith("kappa/base:"))).toHaveLength(1);
});

test("an image with a package manager in it is no archive", async () => {
  contents = { ...contents, packageManagers: ["usr/bin/npm"] };
  await expect(make()).rejects.toMatchObject({ message: expect.stringContaining("usr/bin/npm"), remedy: expect.any(String) });
  const archives = await readdir(join(folder, "cache", "archives"));
  expect(archives.filter((name) => name.endsWith(".tar"))).toEqual([]);
  contents = { ...contents, packageManagers: [] };
  expect(await make()).toMatchObject({ built: true });
});

test("a file that is not there is named, with what to do", async () => {
  await rm(join(folder, "code.txt"));
  await expect(make()).rejects.toMatchObject({ message: expect.stringContaining("code.txt"), remedy: expect.stringContaining("npm ci") });
});
