/**
 * Reads a package through, as it will be read when it is unpacked: the central directory, then every entry to its end. What passes
 * here unpacks in an environment; what does not is never stored.
 */
import type { Readable } from "node:stream";
import { crc32 } from "node:zlib";
import { type Entry, getFileNameLowLevel, openPromise, type ZipFile } from "yauzl";
import { KappaError } from "../../domain/errors.ts";
import {
  checkPackage,
  entryKind,
  MAX_ENTRIES,
  MAX_LINK_BYTES,
  MAX_UNZIPPED_BYTES,
  type PackageEntry,
  type PackageFinding,
  tooManyEntries,
} from "../../domain/package-rules.ts";

/**
 * Names, extra fields and comments of all entries, bytes: they are held in memory while a package is checked. The largest `node_modules`
 * have a quarter of it; an archive that is little else could end the controller.
 */
const MAX_DIRECTORY_BYTES = 32 * 1024 * 1024;

/**
 * Checks a package on disk against every rule, then inflates it with a running limit and compares each entry with its checksum.
 * Nothing is written and no entry is held in memory.
 * @throws KappaError K200, K201, K202 or K206 that says what is wrong
 */
export async function checkPackageFile({ path, size }: { path: string; size: number }): Promise<void> {
  const zip = await readable(() =>
    openPromise(path, { lazyEntries: true, decodeStrings: false, validateEntrySizes: true, autoClose: false }),
  );
  try {
    const entries = await readable(() => readEntries(zip));
    // Links are read first, small as they are, because the rules on them need their targets; other rules hold already then.
    refuse(checkPackage(withoutLinks(entries), size));
    await readable(() => readLinks(zip, entries));
    refuse(
      checkPackage(
        entries.map(({ facts }) => facts),
        size,
      ),
    );
    await readable(() => inflateAll(zip, entries));
  } finally {
    zip.close();
  }
}

/** An entry as the library reads it, and as the rules see it. */
interface ReadEntry {
  entry: Entry;
  facts: PackageEntry;
}

async function readEntries(zip: ZipFile): Promise<ReadEntry[]> {
  // Before millions of records of a hostile archive become objects.
  if (zip.entryCount > MAX_ENTRIES) throw new KappaError("K201", tooManyEntries(zip.entryCount));
  const entries: ReadEntry[] = [];
  let bytes = 0;
  for await (const entry of zip.eachEntry()) {
    bytes += entry.fileNameLength + entry.extraFieldLength + entry.fileCommentLength;
    if (bytes > MAX_DIRECTORY_BYTES)
      throw new KappaError("K201", `The names of the package's entries have more than ${MAX_DIRECTORY_BYTES} bytes`);
    entries.push({ entry, facts: factsOf(entry) });
  }
  return entries;
}

function factsOf(entry: Entry): PackageEntry {
  // Strict: a backslash stays one and is judged by our rules, instead of becoming a slash.
  const name = getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, entry.extraFields, true);
  const mode = entry.externalFileAttributes >>> 16;
  return {
    name,
    mode,
    ...entryKind(name, mode),
    uncompressedSize: entry.uncompressedSize,
    compressedSize: entry.compressedSize,
    method: entry.compressionMethod,
    encrypted: entry.isEncrypted(),
    offset: entry.relativeOffsetOfLocalHeader,
  };
}

/** The entries with links taken for files: everything but their targets can be judged so. */
function withoutLinks(entries: readonly ReadEntry[]): PackageEntry[] {
  return entries.map(({ facts }) => (facts.isSymlink && facts.uncompressedSize <= MAX_LINK_BYTES ? { ...facts, isSymlink: false } : facts));
}

async function readLinks(zip: ZipFile, entries: readonly ReadEntry[]): Promise<void> {
  for (const { entry, facts } of entries) {
    if (!facts.isSymlink) continue;
    const pieces: Buffer[] = [];
    for await (const piece of contentOf(zip, entry)) pieces.push(piece);
    facts.linkTarget = Buffer.concat(pieces).toString("utf8");
  }
}

async function inflateAll(zip: ZipFile, entries: readonly ReadEntry[]): Promise<void> {
  let total = 0;
  for (const { entry, facts } of entries) {
    let checksum = 0;
    for await (const piece of contentOf(zip, entry)) {
      total += piece.length;
      if (total > MAX_UNZIPPED_BYTES)
        throw new KappaError(
          "K201",
          `Unzipped size must be smaller than ${MAX_UNZIPPED_BYTES} bytes; this package has more than it declares`,
        );
      checksum = crc32(piece, checksum);
    }
    if (checksum !== entry.crc32)
      throw new KappaError("K200", `Entry ${JSON.stringify(facts.name)} is damaged: its checksum does not match`);
  }
}

async function* contentOf(zip: ZipFile, entry: Entry): AsyncGenerator<Buffer> {
  const stream: Readable = await zip.openReadStreamPromise(entry);
  try {
    yield* stream as AsyncIterable<Buffer>;
  } finally {
    stream.destroy();
  }
}

function refuse(findings: readonly PackageFinding[]): void {
  const [first] = findings;
  if (first) throw new KappaError(first.code, findings.map((finding) => finding.message).join("; "));
}

/** Whatever the library stumbles over means that the archive is not readable. */
async function readable<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof KappaError) throw error;
    throw new KappaError("K200", `The package cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
