/** Unpacks a package into the function's folder, under the same rules that the controller stored it by. */
import { closeSync, createWriteStream, openSync, readSync, writeSync } from "node:fs";
import { chmod, mkdir, stat, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { inflateRawSync } from "node:zlib";
import { type Entry, fromFdPromise, getFileNameLowLevel, type ZipFile } from "yauzl";
import { checkPackage, entryKind, MAX_LINK_BYTES, type PackageEntry } from "../../../../operator/src/domain/package-rules.ts";
import { UNPACK_IN_MEMORY_BYTES, UNPACK_SLICE_MS } from "../limits.ts";
import { PackageError } from "./package-error.ts";

/** Bits that say that a file may be executed. */
const EXECUTABLE = 0o111;
const FOLDER_MODE = 0o555;
const DEFLATED = 8;
/** Nothing is overwritten, and no link that is already there is followed. */
const CREATE_NEW = "wx";

interface ZipEntry {
  raw: Entry;
  checked: PackageEntry;
}

/**
 * Unpacks the archive `file` below `root`, which must exist and be empty. Files and folders in it are read-only afterwards; links
 * stay links.
 * @throws PackageError InvalidZipFileException when it is damaged or breaks a rule; nothing is written before all rules hold
 */
export async function unpackPackage(file: string, root: string): Promise<void> {
  const fd = openSync(file, "r");
  try {
    const zip = await fromFdPromise(fd, { lazyEntries: true, autoClose: false, decodeStrings: false, validateEntrySizes: true });
    const entries = await readEntries(zip, fd);
    const findings = checkPackage(
      entries.map((entry) => entry.checked),
      (await stat(file)).size,
    );
    if (findings.length > 0) throw new PackageError("InvalidZipFileException", findings.map((finding) => finding.message).join("; "));
    await extract(zip, fd, entries, root);
  } catch (error) {
    // Whatever a system call says is not the archive's fault; what is left comes from reading it.
    if (error instanceof PackageError || isSystemError(error)) throw error;
    throw new PackageError(
      "InvalidZipFileException",
      `The package cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  } finally {
    closeSync(fd);
  }
}

async function readEntries(zip: ZipFile, fd: number): Promise<ZipEntry[]> {
  const entries: ZipEntry[] = [];
  const pause = turnTaker();
  for await (const raw of zip.eachEntry()) {
    const mode = (raw.externalFileAttributes >>> 16) & 0xffff;
    const name = getFileNameLowLevel(raw.generalPurposeBitFlag, raw.fileNameRaw, raw.extraFields, true);
    const checked: PackageEntry = {
      name,
      mode,
      ...entryKind(name, mode),
      uncompressedSize: raw.uncompressedSize,
      compressedSize: raw.compressedSize,
      method: raw.compressionMethod,
      encrypted: raw.isEncrypted(),
      offset: raw.relativeOffsetOfLocalHeader,
    };
    if (checked.isSymlink && checked.uncompressedSize <= MAX_LINK_BYTES && !checked.encrypted)
      checked.linkTarget = (await readContent(zip, fd, raw)).toString();
    entries.push({ raw, checked });
    await pause();
  }
  return entries;
}

async function extract(zip: ZipFile, fd: number, entries: readonly ZipEntry[], root: string): Promise<void> {
  const folders = new Set<string>([root]);
  const makeFolder = async (path: string): Promise<void> => {
    if (folders.has(path)) return;
    await makeFolder(dirname(path));
    await mkdir(path, 0o755);
    folders.add(path);
  };
  const pause = turnTaker();
  for (const { raw, checked } of entries) {
    const path = join(root, checked.name);
    if (checked.isDirectory) await makeFolder(path.endsWith("/") ? path.slice(0, -1) : path);
    else {
      await makeFolder(dirname(path));
      const mode = 0o444 | (checked.mode & EXECUTABLE);
      if (checked.isSymlink) await symlink(checked.linkTarget ?? "", path);
      else if (raw.uncompressedSize <= UNPACK_IN_MEMORY_BYTES) writeNew(path, await readContent(zip, fd, raw), mode);
      else await pipeline(await zip.openReadStreamPromise(raw), createWriteStream(path, { flags: CREATE_NEW, mode }));
    }
    await pause();
  }
  folders.delete(root);
  // The innermost first: a folder that cannot be written cannot have its own folders changed by anyone but their owner either.
  for (const folder of [...folders].reverse()) await chmod(folder, FOLDER_MODE);
}

/** The content of a small entry. Streams would cost more than the inflating. */
async function readContent(zip: ZipFile, fd: number, entry: Entry): Promise<Buffer> {
  const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
  const data = Buffer.allocUnsafe(entry.compressedSize);
  const length = readSync(fd, data, 0, data.length, fileDataStart);
  if (length !== data.length) throw new PackageError("InvalidZipFileException", "The package ends in the middle of an entry");
  const content =
    entry.compressionMethod === DEFLATED ? inflateRawSync(data, { maxOutputLength: Math.max(1, entry.uncompressedSize) }) : data;
  if (content.length !== entry.uncompressedSize)
    throw new PackageError("InvalidZipFileException", `An entry declares ${entry.uncompressedSize} bytes and holds ${content.length}`);
  return content;
}

function writeNew(path: string, content: Buffer, mode: number): void {
  const fd = openSync(path, CREATE_NEW, mode);
  try {
    for (let written = 0; written < content.length; ) written += writeSync(fd, content, written);
  } finally {
    closeSync(fd);
  }
}

/** Gives the event loop a turn when it has had none for a while: the gateways expect an answer to their pings. */
function turnTaker(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < UNPACK_SLICE_MS) return;
    await nextTurn();
    last = performance.now();
  };
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}
