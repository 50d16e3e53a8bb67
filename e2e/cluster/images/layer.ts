import { chmod, cp, mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { run } from "../run.ts";

/** One thing in a layer, by its absolute path in the image: a file with given text, a copy of a file or folder of this machine, or a link. */
export type LayerEntry =
  | { readonly path: string; readonly text: string; readonly mode?: number }
  | { readonly path: string; readonly from: string; readonly mode?: number }
  | { readonly path: string; readonly link: string }
  | { readonly path: string; readonly folder: true };

/** Writes a layer as an uncompressed tar; the same entries give the same bytes. Later entries overwrite earlier ones. */
export async function writeLayer(tarFile: string, entries: readonly LayerEntry[], temporaryFolder: string): Promise<void> {
  await mkdir(temporaryFolder, { recursive: true });
  const root = await mkdtemp(join(temporaryFolder, "layer-"));
  try {
    for (const entry of entries) await place(root, entry);
    // Go's module cache is read-only, and so are copies from it.
    await run(["chmod", "-R", "u+w", root]);
    const temporary = `${tarFile}.tmp`;
    await run([
      "tar",
      "--create",
      "--file",
      temporary,
      "--sort=name",
      "--mtime=@0",
      "--owner=0",
      "--group=0",
      "--numeric-owner",
      "--directory",
      root,
      ".",
    ]);
    await rename(temporary, tarFile);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

async function place(root: string, entry: LayerEntry): Promise<void> {
  const target = join(root, entry.path);
  await mkdir("folder" in entry ? target : dirname(target), { recursive: true });
  if ("link" in entry) {
    await rm(target, { force: true });
    await symlink(entry.link, target);
  } else if ("text" in entry) {
    await rm(target, { force: true });
    await writeFile(target, entry.text, { mode: entry.mode ?? 0o644 });
  } else if ("from" in entry) {
    await cp(entry.from, target, { recursive: true });
    if (entry.mode !== undefined) await chmod(target, entry.mode);
  }
}
