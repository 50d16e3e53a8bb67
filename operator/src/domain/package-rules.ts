/**
 * What a function's package may contain, as pure checks over the list of its entries. The controller applies them before it
 * stores a package and the agent again before it unpacks one, so neither has to trust the other.
 *
 * Sizes are Lambda's (guide, "Lambda quotas"). The rules on names and links keep an archive inside the folder that it is unpacked
 * into ("zip slip"), the rules on sizes and offsets keep it from growing beyond what it declares (overlapping and quine bombs).
 */
import type { ErrorCode } from "./errors.ts";

/** Largest package once unpacked, bytes. */
export const MAX_UNZIPPED_BYTES = 262_144_000;

/** Largest package as an archive when it comes with the request itself, bytes. */
export const MAX_DIRECT_ZIP_BYTES = 52_428_800;

/** Most entries of a package. A large `node_modules` has some 50,000; each costs an inode in every environment. */
export const MAX_ENTRIES = 100_000;

/** Longest path of an entry, bytes: Linux's PATH_MAX with room for the folder that it is unpacked into. */
const MAX_PATH_BYTES = 3_900;

/** Longest path segment, bytes (Linux's NAME_MAX). */
const MAX_SEGMENT_BYTES = 255;

/** Longest target of a symbolic link, bytes. An entry that claims more is not read. */
export const MAX_LINK_BYTES = 4_096;

/** Links followed before a chain counts as endless (Linux's MAXSYMLINKS). */
const MAX_LINK_DEPTH = 40;

/**
 * Path segments looked at while links are followed, over the whole package. Tens of thousands of ordinary links need a tenth of it;
 * links that are made to lead through each other would keep the controller busy for hours.
 */
const MAX_LINK_WORK = 20_000_000;

/** Deflate codes at most 258 bytes in two bits, so no stream grows more than this many times (zlib's technical notes). */
const MAX_DEFLATE_RATIO = 1032;

/** Bytes of a local file header before the name (APPNOTE 4.3.7). */
const LOCAL_HEADER_BYTES = 30;

/** Compression methods of zip that are read: stored and deflated. */
const STORED = 0;
const DEFLATED = 8;

/** File types in the upper bits of a Unix mode (inode(7)). */
const FILE_TYPE = 0o170000;
const TYPE_UNKNOWN = 0;
const TYPE_REGULAR = 0o100000;
const TYPE_DIRECTORY = 0o040000;
const TYPE_LINK = 0o120000;

/** Findings beyond this many are not listed: a broken archive of 100,000 entries is broken after ten. */
const MAX_FINDINGS = 10;

/** One entry of the central directory. */
export interface PackageEntry {
  /** As written, decoded; separators are not normalised. */
  name: string;
  /** Declared size of the data once unpacked, bytes. */
  uncompressedSize: number;
  /** Size of the data in the archive, bytes. */
  compressedSize: number;
  isDirectory: boolean;
  isSymlink: boolean;
  /** Of a symbolic link: what it points to. */
  linkTarget?: string;
  /** Unix mode with file type, or 0 when the archive was not made on Unix. */
  mode: number;
  /** Compression method of the zip format. */
  method: number;
  encrypted: boolean;
  /** Offset of the entry's local header in the archive, bytes. */
  offset: number;
}

/** One thing that is wrong with a package. */
export interface PackageFinding {
  code: Extract<ErrorCode, "K200" | "K201" | "K202" | "K206">;
  /** What is wrong, naming the entry. */
  message: string;
}

/** What kind of file an entry is, by its mode and by a trailing slash of its name. */
export function entryKind(name: string, mode: number): { isDirectory: boolean; isSymlink: boolean } {
  const type = mode & FILE_TYPE;
  return { isDirectory: name.endsWith("/") || type === TYPE_DIRECTORY, isSymlink: type === TYPE_LINK };
}

/**
 * Checks the entries of an archive of `archiveBytes` bytes.
 * @returns what is wrong, at most ten findings; empty when the package may be unpacked
 */
export function checkPackage(entries: readonly PackageEntry[], archiveBytes: number): PackageFinding[] {
  if (entries.length === 0) return [{ code: "K200", message: "Uploaded file must be a non-empty zip" }];
  if (entries.length > MAX_ENTRIES) return [{ code: "K201", message: tooManyEntries(entries.length) }];

  const findings: PackageFinding[] = [];
  const total = entries.reduce((sum, entry) => sum + entry.uncompressedSize, 0);
  if (total > MAX_UNZIPPED_BYTES)
    findings.push({ code: "K201", message: `Unzipped size must be smaller than ${MAX_UNZIPPED_BYTES} bytes; this package has ${total}` });
  for (const entry of entries) {
    const finding = checkName(entry.name) ?? checkEntry(entry);
    if (finding) findings.push(finding);
    if (findings.length >= MAX_FINDINGS) return findings;
  }
  const overlap = checkOverlap(entries, archiveBytes);
  if (overlap) findings.push(overlap);
  // The tree can only be judged when every name is sound.
  if (findings.length === 0) findings.push(...checkTree(entries));
  return findings.slice(0, MAX_FINDINGS);
}

/** What is said about an archive with more than {@link MAX_ENTRIES} entries. */
export function tooManyEntries(count: number): string {
  return `The package has ${count} entries; at most ${MAX_ENTRIES} are unpacked`;
}

/** Path segments of an entry's name, with `.` and empty segments left out, as a file system would. */
function segmentsOf(path: string): string[] {
  return path.split("/").filter((segment) => segment !== "" && segment !== ".");
}

function checkName(name: string): PackageFinding | undefined {
  const shown = JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}…` : name);
  const outside = (why: string): PackageFinding => ({ code: "K202", message: `Entry ${shown} ${why}` });
  if (name.includes("\0")) return outside("has a NUL character in its name");
  if (name.includes("\\")) return outside("has a backslash in its name; separate folders with /");
  if (name.startsWith("/")) return outside("has an absolute name");
  if (/^[a-zA-Z]:/.test(name)) return outside("has a name that starts with a drive letter");
  const segments = name.split("/");
  if (segments.includes("..")) return outside("has .. in its name");
  if (segmentsOf(name).length === 0 && !name.endsWith("/")) return outside("has no name");
  if (Buffer.byteLength(name) > MAX_PATH_BYTES || segments.some((segment) => Buffer.byteLength(segment) > MAX_SEGMENT_BYTES))
    return { code: "K206", message: `Entry ${shown} has a name that is too long for a file system` };
  return undefined;
}

function checkEntry(entry: PackageEntry): PackageFinding | undefined {
  const shown = JSON.stringify(entry.name);
  const unusable = (why: string): PackageFinding => ({ code: "K206", message: `Entry ${shown} ${why}` });
  const damaged = (why: string): PackageFinding => ({ code: "K200", message: `Entry ${shown} ${why}` });
  if (entry.encrypted) return unusable("is encrypted");
  if (entry.method !== STORED && entry.method !== DEFLATED)
    return unusable(`uses compression method ${entry.method}; only stored and deflated are read`);
  const type = entry.mode & FILE_TYPE;
  if (type !== TYPE_UNKNOWN && type !== TYPE_REGULAR && type !== TYPE_DIRECTORY && type !== TYPE_LINK)
    return unusable("is neither a file, a folder nor a link");
  if (entry.isDirectory && entry.isSymlink) return unusable("is a link with the name of a folder");
  if (entry.isDirectory && entry.uncompressedSize > 0) return damaged("is a folder with content");
  if (entry.method === STORED && entry.uncompressedSize !== entry.compressedSize) return damaged("is stored with two different sizes");
  if (entry.uncompressedSize > entry.compressedSize * MAX_DEFLATE_RATIO)
    return damaged(`declares ${entry.uncompressedSize} bytes in ${entry.compressedSize}, more than deflate can hold`);
  if (entry.isSymlink && entry.uncompressedSize > MAX_LINK_BYTES)
    return unusable(`is a link with a target of more than ${MAX_LINK_BYTES} bytes`);
  return undefined;
}

/** Entries that share bytes of the archive are how a small archive declares a large content (David Fifield, "A better zip bomb"). */
function checkOverlap(entries: readonly PackageEntry[], archiveBytes: number): PackageFinding | undefined {
  const ordered = entries.toSorted((a, b) => a.offset - b.offset);
  let end = 0;
  let previous = "";
  for (const entry of ordered) {
    if (entry.offset < end)
      return {
        code: "K200",
        message: `Entries ${JSON.stringify(previous)} and ${JSON.stringify(entry.name)} share the same bytes of the archive`,
      };
    end = entry.offset + LOCAL_HEADER_BYTES + entry.compressedSize;
    previous = entry.name;
  }
  if (end > archiveBytes)
    return { code: "K200", message: `Entry ${JSON.stringify(previous)} ends beyond the end of the archive: it is truncated` };
  return undefined;
}

/** Names against each other, then links against the whole tree. */
function checkTree(entries: readonly PackageEntry[]): PackageFinding[] {
  const findings: PackageFinding[] = [];
  const kinds = new Map<string, PackageEntry>();
  for (const entry of entries) {
    const path = segmentsOf(entry.name).join("/");
    const other = kinds.get(path);
    if (other === undefined) kinds.set(path, entry);
    else if (!(other.isDirectory && entry.isDirectory))
      findings.push({ code: "K206", message: `Entry ${JSON.stringify(entry.name)} is in the package more than once` });
  }
  const checkedFolders = new Set<string>();
  for (const [path, entry] of kinds) {
    const conflict = conflictingParent(path, kinds, checkedFolders);
    // Folders that are only named by what is in them cost an inode as well, and one name can hold two thousand.
    if (checkedFolders.size > MAX_ENTRIES)
      return [{ code: "K201", message: `The package has more than ${MAX_ENTRIES} folders; at most so many are unpacked` }];
    if (conflict !== undefined)
      findings.push({
        code: conflict.isSymlink ? "K202" : "K206",
        message: `Entry ${JSON.stringify(entry.name)} would be below ${JSON.stringify(conflict.name)}, which is ${conflict.isSymlink ? "a link" : "a file"}`,
      });
  }
  if (findings.length > 0) return findings;
  const work = { left: MAX_LINK_WORK };
  for (const [path, entry] of kinds) {
    if (!entry.isSymlink) continue;
    const why = whyLinkLeaves(path, kinds, work);
    if (work.left < 0) return [{ code: "K206", message: "The links of the package are too many, or lead through too many folders" }];
    if (why !== undefined) findings.push({ code: "K202", message: `Link ${JSON.stringify(entry.name)} ${why}` });
  }
  return findings;
}

/** The nearest folder above `path` that is an entry and no folder. `checked` remembers folders that were found sound. */
function conflictingParent(path: string, kinds: ReadonlyMap<string, PackageEntry>, checked: Set<string>): PackageEntry | undefined {
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
    const folder = path.slice(0, end);
    if (checked.has(folder)) return undefined;
    const entry = kinds.get(folder);
    if (entry !== undefined && !entry.isDirectory) return entry;
    checked.add(folder);
  }
  return undefined;
}

/**
 * Follows the link at `path` as the kernel would, through every other link, with `..` taken after links are resolved.
 * @param work what may still be done for all links together; it goes below zero when that was not enough to tell
 * @returns why it does not stay below the root, or undefined when it does; a target that does not exist is no reason
 */
function whyLinkLeaves(path: string, kinds: ReadonlyMap<string, PackageEntry>, work: { left: number }): string | undefined {
  const rest = path.split("/");
  const at: string[] = [];
  for (let depth = 0; ; ) {
    const segment = rest.shift();
    work.left -= at.length + 1;
    if (segment === undefined || work.left < 0) return undefined;
    if (segment === "" || segment === ".") continue;
    if (segment === "..") {
      if (at.pop() === undefined) return "points out of the package";
      continue;
    }
    at.push(segment);
    const entry = kinds.get(at.join("/"));
    if (entry?.isSymlink !== true) continue;
    const target = entry.linkTarget;
    if (target === undefined || target === "" || target.includes("\0")) return "has no readable target";
    if (target.startsWith("/")) return `points to the absolute path ${JSON.stringify(target)}`;
    if (++depth > MAX_LINK_DEPTH) return "is part of a circle of links";
    at.pop();
    rest.unshift(...target.split("/"));
  }
}
