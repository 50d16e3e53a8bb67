import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { fileSha256, removeUnused, textSha256 } from "./files.ts";

const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), "kappa-files-"));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
};

test("of a cache what is in use or was made today stays, and what lay there longer goes", async () => {
  const path = await folder();
  const old = new Date(Date.now() - 2 * 86_400_000);
  for (const name of ["in-use", "today", "old"]) await mkdir(join(path, name));
  for (const name of ["in-use", "old"]) await utimes(join(path, name), old, old);
  await removeUnused(path, ["in-use"]);
  expect((await readdir(path)).sort()).toEqual(["in-use", "today"]);
  // In use counts as used today.
  await removeUnused(path, []);
  expect(await readdir(path)).toContain("in-use");
});

test("the digest of a file is that of its bytes, and a missing file has none", async () => {
  const path = join(await folder(), "f");
  await writeFile(path, "abc");
  // FIPS 180-2, appendix B.1
  expect(await fileSha256(path)).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect(await fileSha256(`${path}-missing`)).toBeUndefined();
});

test("the boundaries between texts count in their digest", () => {
  expect(textSha256("ab", "c")).not.toBe(textSha256("a", "bc"));
});
