import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { chmod, lstat, lutimes, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";

/** SHA-256 of a file's bytes in hex; undefined where the file is not there. */
export async function fileSha256(path: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  try {
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  return hash.digest("hex");
}

/** SHA-256 over several texts in hex; the boundaries between them count. */
export function textSha256(...texts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const text of texts) hash.update(`${Buffer.byteLength(text)}:`).update(text);
  return hash.digest("hex");
}

/** Writes a whole file or nothing: a reader never sees half of it, and an interruption leaves the old one. */
export async function writeWhole(path: string, text: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.tmp-${process.pid}`;
  await writeFile(temporary, text, { mode });
  await chmod(temporary, mode);
  await rename(temporary, path);
}

/** A file's text; undefined where it is not there. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether an error of node:fs says that the file, or a folder above it, is not there. */
export function isMissing(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" || code === "ENOTDIR";
}

const DAY_MS = 86_400_000;

/**
 * Removes what lies in a cache folder but was not made or used within a day: gigabytes that can be made again. `inUse` stays, and counts as used
 * now. Another checkout that takes turns with this one keeps its own that way.
 */
export async function removeUnused(folder: string, inUse: readonly string[]): Promise<void> {
  const now = new Date();
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (inUse.includes(name)) await lutimes(path, now, now);
    else if (now.getTime() - (await lstat(path)).mtimeMs > DAY_MS) await rm(path, { recursive: true, force: true });
  }
}
