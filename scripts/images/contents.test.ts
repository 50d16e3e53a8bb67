import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { contentsOf } from "./contents.ts";

const run = promisify(execFile);

test("sizes and package managers are those of all layers, and a layer is looked at once", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kappa-contents-"));
  try {
    /** A layer with one file of this size. */
    const layer = async (name: string, path: string, bytes: number): Promise<void> => {
      const root = join(folder, `root-${name}`);
      await mkdir(join(root, path, ".."), { recursive: true });
      await writeFile(join(root, path), Buffer.alloc(bytes));
      await run("tar", ["--create", "--file", join(folder, name), "--directory", root, "."]);
    };
    await layer("a.tar", "usr/bin/npm", 1_000_000);
    await layer("b.tar", "var/task/file", 500_000);
    const archive = join(folder, "image.tar");
    await writeFile(join(folder, "manifest.json"), JSON.stringify([{ Config: "x", Layers: ["a.tar", "b.tar"] }]));
    await run("tar", ["--create", "--file", archive, "--directory", folder, "manifest.json", "a.tar", "b.tar"]);

    const kept = join(folder, "kept");
    const contents = await contentsOf(archive, kept);
    expect(contents.packageManagers).toEqual(["./usr/bin/npm"]);
    expect(contents.unpackedBytes).toBeGreaterThan(1_500_000);
    expect(contents.unpackedBytes).toBeLessThan(1_600_000);
    // Nothing but zeros.
    expect(contents.compressedBytes).toBeLessThan(10_000);
    expect(contents.compressedBytes).toBeGreaterThan(0);
    expect(await readdir(kept)).toHaveLength(2);
    // There is nothing left to look into.
    await run("tar", ["--create", "--file", archive, "--directory", folder, "manifest.json"]);
    expect(await contentsOf(archive, kept)).toEqual(contents);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
