/** Zip archives as people upload them to Lambda: names, contents, and the executable bit. */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Zippable, zipSync } from "fflate";

/** A file of a package: its content, or its content with its Unix permissions. */
export type PackageFile = string | Uint8Array | { content: string | Uint8Array; mode: number };

const TYPE_REGULAR = 0o100000;
/** A fixed time, so that the same content is the same archive. The earliest that a zip archive can hold. */
const TIME = new Date(1980, 0, 1);

/** An archive of `files`, by their paths in it; 0644 unless a file says otherwise. The same files give the same bytes. */
export function zipOf(files: Readonly<Record<string, PackageFile>>): Uint8Array {
  const entries: Zippable = {};
  for (const name of Object.keys(files).sort()) {
    const file = files[name] ?? "";
    const { content, mode } = typeof file === "string" || file instanceof Uint8Array ? { content: file, mode: 0o644 } : file;
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    // Unsigned: the file type is in the uppermost bits.
    entries[name] = [bytes, { os: 3, attrs: ((TYPE_REGULAR | mode) << 16) >>> 0, mtime: TIME }];
  }
  return zipSync(entries, { level: 6 });
}

/** The files below a folder by their paths relative to it, with their permissions; what links lead to is a file as well. */
export async function filesBelow(folder: string): Promise<Record<string, PackageFile>> {
  const files: Record<string, PackageFile> = {};
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const info = await stat(path);
    if (!info.isDirectory()) files[name] = { content: await readFile(path), mode: info.mode & 0o777 };
    else for (const [below, file] of Object.entries(await filesBelow(path))) files[`${name}/${below}`] = file;
  }
  return files;
}
