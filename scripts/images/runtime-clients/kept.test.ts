import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { kept } from "./kept.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kappa-kept-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const writing =
  (text: string) =>
  async (unfinished: string): Promise<void> => {
    await mkdir(unfinished);
    await writeFile(join(unfinished, "text"), text);
  };

test("what was made once is not made again", async () => {
  const target = join(folder, "language", "key");
  expect(await kept(target, writing("first"))).toBe(target);
  expect(await kept(target, writing("second"))).toBe(target);
  expect(await readFile(join(target, "text"), "utf8")).toBe("first");
});

test("what failed leaves nothing, and is made anew", async () => {
  const target = join(folder, "key");
  const failing = async (unfinished: string): Promise<void> => {
    await writing("half")(unfinished);
    throw new Error("no registry");
  };
  await expect(kept(target, failing)).rejects.toThrow("no registry");
  expect(await readdir(folder)).toEqual([]);
  await kept(target, writing("whole"));
  expect(await readdir(folder)).toEqual(["key"]);
});

test("two that make the same at once do not disturb each other, and both get the whole", async () => {
  const target = join(folder, "key");
  const bothBegan = Promise.withResolvers<void>();
  let begun = 0;
  const together = async (unfinished: string): Promise<void> => {
    await mkdir(unfinished);
    await writeFile(join(unfinished, "begun"), "");
    if (++begun === 2) bothBegan.resolve();
    await bothBegan.promise;
    await writeFile(join(unfinished, "text"), "whole");
  };
  expect(await Promise.all([kept(target, together), kept(target, together)])).toEqual([target, target]);
  expect(await readFile(join(target, "text"), "utf8")).toBe("whole");
  expect(await readdir(folder)).toEqual(["key"]);
});
