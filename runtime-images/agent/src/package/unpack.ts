/**
 * Unpacks a package into the function's folder, under the same rules that the controller stored it by. System calls are synchronous:
 * for the small files that packages consist of a call takes a tenth of what it takes to hand it to a thread and wait for that.
 */
import { chmodSync, closeSync, createWriteStream, fstatSync, mkdirSync, openSync, readSync, symlinkSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { inflateRawSync } from "node:zlib";
import { type Entry, fromBufferPromise, fromFdPromise, getFileNameLowLevel, type ZipFile } from "yauzl";
import { checkPackage, entryKind, MAX_LINK_BYTES, type PackageEntry } from "../../../../operator/src/domain/package-rules.ts";
import { UNPACK_IN_MEMORY_BYTES, UNPACK_SLICE_MS } from "../limits.ts";
import { PackageError } from "./package-error.ts";

/** Bits that say that a file may be executed. */
const EXECUTABLE = 0o111;
const FOLDER_MODE = 0o555;
const DEFLATED = 8;
/** Nothing is overwritten, and no link that is already there is followed. */
const CREATE_NEW = "wx";

/** Local file header (APPNOTE 4.3.7): its signature, its bytes before the name, and where in it the lengths of name and extra field are. */
const LOCAL_HEADER = { signature: 0x04034b50, bytes: 30, nameLengthAt: 26, extraLengthAt: 28 } as const;

const OPTIONS = { lazyEntries: true, decodeStrings: false, validateEntrySizes: true } as const;

/** An archive that is open: its directory, and its bytes. */
interface Archive {
  zip: ZipFile;
  size: number;
  /** Fewer bytes than asked for, where it ends. */
  read(offset: number, length: number): Buffer;
}

interface ZipEntry {
  raw: Entry;
  checked: PackageEntry;
}

/**
 * Unpacks the archive `file` below `root`, which must exist and be empty. Files and folders in it are read-only afterwards; links
 * stay links.
 * @throws PackageError InvalidZipFileException when it is damaged or breaks a rule; nothing is written before all rules hold
 */
export async function unpackFile(file: string, root: string): Promise<void> {
  const fd = openSync(file, "r");
  try {
    const { size } = fstatSync(fd);
    const read = (offset: number, length: number): Buffer => {
      const data = Buffer.allocUnsafe(length);
      return data.subarray(0, readSync(fd, data, 0, length, offset));
    };
    await unpack(async () => ({ zip: await fromFdPromise(fd, { ...OPTIONS, autoClose: false }), size, read }), root);
  } finally {
    closeSync(fd);
  }
}

/** The same with an archive in memory. @throws PackageError */
export async function unpackBytes(archive: Uint8Array, root: string): Promise<void> {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  const read = (offset: number, length: number): Buffer => bytes.subarray(offset, offset + length);
  await unpack(async () => ({ zip: await fromBufferPromise(bytes, OPTIONS), size: bytes.length, read }), root);
}

async function unpack(open: () => Promise<Archive>, root: string): Promise<void> {
  try {
    const archive = await open();
    const entries = await readEntries(archive);
    const findings = checkPackage(
      entries.map((entry) => entry.checked),
      archive.size,
    );
    if (findings.length > 0) throw new PackageError("InvalidZipFileException", findings.map((finding) => finding.message).join("; "));
    await extract(archive, entries, root);
  } catch (error) {
    // Whatever a system call says is not the archive's fault; what is left comes from reading it.
    if (error instanceof PackageError || isSystemError(error)) throw error;
    throw new PackageError(
      "InvalidZipFileException",
      `The package cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}

async function readEntries(archive: Archive): Promise<ZipEntry[]> {
  const entries: ZipEntry[] = [];
  const pause = turnTaker();
  for await (const raw of archive.zip.eachEntry()) {
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
      checked.linkTarget = readContent(archive, raw).toString();
    entries.push({ raw, checked });
    if (pause.due()) await pause.turn();
  }
  return entries;
}

async function extract(archive: Archive, entries: readonly ZipEntry[], root: string): Promise<void> {
  const folders = new Set<string>([root]);
  const makeFolder = (path: string): void => {
    if (folders.has(path)) return;
    makeFolder(dirname(path));
    mkdirSync(path, 0o755);
    folders.add(path);
  };
  const pause = turnTaker();
  for (const { raw, checked } of entries) {
    const path = join(root, checked.name);
    if (checked.isDirectory) makeFolder(path.endsWith("/") ? path.slice(0, -1) : path);
    else {
      makeFolder(dirname(path));
      const mode = 0o444 | (checked.mode & EXECUTABLE);
      if (checked.isSymlink) symlinkSync(checked.linkTarget ?? "", path);
      else if (raw.uncompressedSize <= UNPACK_IN_MEMORY_BYTES) writeNew(path, readContent(archive, raw), mode);
      else await pipeline(await archive.zip.openReadStreamPromise(raw), createWriteStream(path, { flags: CREATE_NEW, mode }));
    }
    if (pause.due()) await pause.turn();
  }
  folders.delete(root);
  // The innermost first: a folder that cannot be written cannot have its own folders changed by anyone but their owner either.
  for (const folder of [...folders].reverse()) chmodSync(folder, FOLDER_MODE);
}

/** The content of a small entry. Streams would cost more than the inflating. */
function readContent(archive: Archive, entry: Entry): Buffer {
  const header = archive.read(entry.relativeOffsetOfLocalHeader, LOCAL_HEADER.bytes);
  if (header.length < LOCAL_HEADER.bytes || header.readUInt32LE(0) !== LOCAL_HEADER.signature)
    throw new PackageError("InvalidZipFileException", "An entry of the package does not begin where its directory says");
  const names = header.readUInt16LE(LOCAL_HEADER.nameLengthAt) + header.readUInt16LE(LOCAL_HEADER.extraLengthAt);
  const data = archive.read(entry.relativeOffsetOfLocalHeader + LOCAL_HEADER.bytes + names, entry.compressedSize);
  if (data.length !== entry.compressedSize) throw new PackageError("InvalidZipFileException", "The package ends in the middle of an entry");
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
function turnTaker(): { due: () => boolean; turn: () => Promise<void> } {
  let last = performance.now();
  return {
    due: () => performance.now() - last >= UNPACK_SLICE_MS,
    turn: async () => {
      await nextTurn();
      last = performance.now();
    },
  };
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}
