import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { copyFile, cp, lstat, readdir, readlink, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileSha256 } from "../../e2e/cluster/files.ts";

/**
 * SHA-256 over the content of a file, or over names, kinds, executable bits and contents below a directory, in hex.
 * @throws Error when there is nothing at `path`
 */
export async function contentDigest(path: string): Promise<string> {
  const info = await stat(path);
  if (info.isFile()) {
    const digest = await fileSha256(path);
    if (digest === undefined) throw new Error(`${path} vanished while it was read`);
    return digest;
  }
  const hash = createHash("sha256");
  for (const name of (await readdir(path)).sort()) {
    const child = join(path, name);
    const childInfo = await lstat(child);
    const kind = childInfo.isDirectory() ? "d" : childInfo.isSymbolicLink() ? "l" : (childInfo.mode & 0o111) !== 0 ? "x" : "f";
    const content = kind === "l" ? await readlink(child) : await contentDigest(child);
    hash.update(`${kind} ${name.length}:${name} ${content}\n`);
  }
  return hash.digest("hex");
}

/** Copies a file or directory, sharing blocks where the file system can. Links below a directory stay links. */
export async function copyInto(source: string, target: string): Promise<void> {
  if ((await stat(source)).isDirectory()) await cp(source, target, { recursive: true, verbatimSymlinks: true });
  else await copyFile(resolve(source), target, constants.COPYFILE_FICLONE);
}
