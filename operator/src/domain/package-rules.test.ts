import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkPackage, entryKind, MAX_UNZIPPED_BYTES, type PackageEntry } from "./package-rules.ts";

const ARCHIVE = 1_000_000_000;

/** Entries one after the other in an archive that is large enough, each given by what is special about it. */
function archive(...specials: (Partial<PackageEntry> & { name: string })[]): PackageEntry[] {
  let offset = 0;
  return specials.map((special) => {
    const mode = special.mode ?? 0o100644;
    const size = special.uncompressedSize ?? special.compressedSize ?? special.linkTarget?.length ?? (special.name.endsWith("/") ? 0 : 10);
    const entry: PackageEntry = {
      ...entryKind(special.name, mode),
      mode,
      uncompressedSize: size,
      compressedSize: size,
      method: 0,
      encrypted: false,
      offset,
      ...special,
    };
    offset = entry.offset + 30 + entry.compressedSize;
    return entry;
  });
}
const file = (name: string): { name: string } => ({ name });
const link = (name: string, linkTarget: string) => ({ name, linkTarget, mode: 0o120777 });
const codes = (...specials: Parameters<typeof archive>) => checkPackage(archive(...specials), ARCHIVE).map((finding) => finding.code);

describe("checkPackage accepts", () => {
  test.each([
    ["files and folders", [file("index.py"), file("lib/"), file("lib/a.py"), file("lib/deep/b.py")]],
    ["a name with dots that are no folder above", [file("..a"), file("a.."), file("...")]],
    ["a leading ./", [file("./index.py")]],
    ["names that differ only in case", [file("a"), file("A")]],
    ["a folder listed twice", [file("lib/"), file("lib/")]],
    ["a link to a file beside it", [file("libx.so.1"), link("libx.so", "libx.so.1")]],
    ["a link upwards that stays inside", [file("a/b/x"), link("a/b/up", "../../a")]],
    ["a link through another link that stays inside", [file("a/b/"), link("c", "a/b"), link("d", "c/../../e")]],
    ["a link to something that is not in the package", [link("x", "missing/file")]],
    ["folders that link to each other", [file("a/"), file("b/"), link("a/b", "../b"), link("b/a", "../a")]],
    ["an executable", [{ name: "bootstrap", mode: 0o100755 }]],
    ["an archive that was not made on Unix", [{ name: "index.py", mode: 0 }]],
    ["the best that deflate can do", [{ name: "zeros", method: 8, compressedSize: 1000, uncompressedSize: 1_032_000 }]],
    ["exactly the largest size", [{ name: "big", uncompressedSize: MAX_UNZIPPED_BYTES, compressedSize: MAX_UNZIPPED_BYTES }]],
    ["a folder with an empty deflate stream, as jar writes it", [{ name: "META-INF/", method: 8, compressedSize: 2, uncompressedSize: 0 }]],
  ])("%s", (_, entries) => {
    expect(checkPackage(archive(...entries), ARCHIVE)).toEqual([]);
  });
});

describe("checkPackage refuses", () => {
  test.each([
    ["..", "K202", [file("../x")]],
    [".. in the middle, though it would stay inside", "K202", [file("a/../x")]],
    [".. at the end", "K202", [file("a/..")]],
    ["an absolute name", "K202", [file("/etc/passwd")]],
    ["a drive letter", "K202", [file("C:/x")]],
    ["a backslash", "K202", [file("a\\..\\..\\x")]],
    ["a NUL", "K202", [file("a\0b")]],
    ["an empty name", "K202", [file("")]],
    ["a segment that no file system takes", "K206", [file("a".repeat(256))]],
    ["a path that no file system takes", "K206", [file("abc/".repeat(1000))]],
    ["a link out of the root", "K202", [link("x", "../etc/passwd")]],
    ["a link with an absolute target", "K202", [link("x", "/etc/passwd")]],
    ["a link out of the root through another link", "K202", [link("a", "b/c"), file("b/c/"), link("x", "a/../../../etc")]],
    ["a link that leaves only after a folder was followed", "K202", [file("d/e/"), link("d/e/up", ".."), link("x", "d/e/up/../../y")]],
    ["a link without a target", "K202", [link("x", "")]],
    ["a link to itself", "K202", [link("x", "x")]],
    ["links in a circle", "K202", [link("x", "y"), link("y", "x")]],
    ["a file below a link", "K202", [link("x", "y"), file("x/z"), file("y/")]],
    ["a file written over a link", "K206", [link("x", "y"), file("x")]],
    ["a file below a file", "K206", [file("x"), file("x/y")]],
    ["a file below a file, listed the other way round", "K206", [file("x/y/z"), file("x")]],
    ["a name twice", "K206", [file("x"), file("./x")]],
    ["a folder that is also a file", "K206", [file("x/"), file("x")]],
    ["an encrypted entry", "K206", [{ name: "x", encrypted: true }]],
    ["an unknown compression", "K206", [{ name: "x", method: 12 }]],
    ["a device", "K206", [{ name: "x", mode: 0o020666 }]],
    ["a pipe", "K206", [{ name: "x", mode: 0o010666 }]],
    ["a link named like a folder", "K206", [{ name: "x/", mode: 0o120777 }]],
    ["a link with an endless target", "K206", [{ name: "x", mode: 0o120777, uncompressedSize: 5000 }]],
    ["a folder with content", "K200", [{ name: "x/", uncompressedSize: 5 }]],
    ["a stored entry with two sizes", "K200", [{ name: "x", compressedSize: 1, uncompressedSize: 2 }]],
    ["more than deflate can hold", "K200", [{ name: "x", method: 8, compressedSize: 1000, uncompressedSize: 1_032_001 }]],
    [
      "one byte too many",
      "K201",
      [
        { name: "x", uncompressedSize: MAX_UNZIPPED_BYTES },
        { name: "y", uncompressedSize: 1 },
      ],
    ],
  ])("%s (%s, %s)", (_, code, entries) => {
    const found = codes(...(entries as Parameters<typeof archive>));
    expect(found.length).toBeGreaterThan(0);
    expect(new Set(found)).toEqual(new Set([code]));
  });

  test("an archive without entries, in Lambda's words", () => {
    expect(checkPackage([], 22)).toEqual([{ code: "K200", message: "Uploaded file must be a non-empty zip" }]);
  });

  test("too many bytes, in Lambda's words", () => {
    expect(checkPackage(archive({ name: "x", uncompressedSize: MAX_UNZIPPED_BYTES + 1 }), ARCHIVE)[0]?.message).toContain(
      "Unzipped size must be smaller than 262144000 bytes",
    );
  });

  test("entries that share bytes of the archive", () => {
    const [first, second] = archive({ name: "a", compressedSize: 100 }, { name: "b", compressedSize: 100 });
    if (!first || !second) throw new Error("two entries expected");
    expect(checkPackage([first, { ...second, offset: first.offset + 31 }], ARCHIVE)[0]).toMatchObject({ code: "K200" });
  });

  test("an entry that ends behind the end of the archive", () => {
    expect(checkPackage(archive({ name: "a", compressedSize: 100 }), 120)[0]?.message).toContain("truncated");
  });

  test("more entries than any function has", () => {
    const many = archive(...Array.from({ length: 100_001 }, (_, index) => file(`f${index}`)));
    expect(checkPackage(many, ARCHIVE)).toHaveLength(1);
  });

  test("folders without end, in names that no entry has", () => {
    const deep = archive(...Array.from({ length: 60 }, (_, index) => file(`${index}/${"a/".repeat(1900)}x`)));
    expect(checkPackage(deep, ARCHIVE)).toMatchObject([{ code: "K201" }]);
  });

  test("links that would have to be followed for hours", () => {
    const step = (index: number) => link(`l${index}`, `${"a/".repeat(800)}${"../".repeat(800)}l${index + 1}`);
    const links = archive(
      ...Array.from({ length: 1000 }, (_, index) => step(index)).map((each, i) => (i % 38 === 37 ? link(each.name, "end") : each)),
    );
    const start = performance.now();
    expect(checkPackage(links, ARCHIVE)).toMatchObject([{ code: "K206" }]);
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  test("but not the links of a large package", () => {
    const links = Array.from({ length: 20_000 }, (_, index) =>
      link(`node_modules/some-package-${index}/node_modules/.bin/tool`, "../tool/bin/tool.js"),
    );
    expect(checkPackage(archive(...links), ARCHIVE)).toEqual([]);
  });

  test("with at most ten findings, however many there are", () => {
    expect(codes(...Array.from({ length: 50 }, (_, index) => file(`../${index}`)))).toHaveLength(10);
  });

  test("naming the entry", () => {
    expect(checkPackage(archive(file("lib/../../evil.py")), ARCHIVE)[0]?.message).toBe('Entry "lib/../../evil.py" has .. in its name');
  });
});

describe("whatever is accepted stays inside", () => {
  const segment = fc.constantFrom("a", "b", "c", "..", ".", "");
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join("/"));
  const anyEntry = fc.oneof(
    path.map(file),
    fc.tuple(path, path).map(([name, target]) => link(name, target)),
  );

  test("names and links, through any number of other links", () => {
    fc.assert(
      fc.property(fc.array(anyEntry, { minLength: 1, maxLength: 6 }), (specials) => {
        const entries = archive(...specials);
        if (checkPackage(entries, ARCHIVE).length > 0) return;
        const links = new Map(entries.filter((e) => e.isSymlink).map((e) => [normal(e.name), e.linkTarget ?? ""]));
        for (const entry of entries) expect(realPath(normal(entry.name), links)).not.toContain("..");
      }),
      { numRuns: 2000 },
    );
  });
});

const normal = (path: string): string =>
  path
    .split("/")
    .filter((s) => s !== "" && s !== ".")
    .join("/");

/** An independent, naive resolver: replaces the first link on the way by its target until none is left; `..` beyond the root stays visible. */
function realPath(path: string, links: ReadonlyMap<string, string>, depth = 0): string {
  if (depth > 100) throw new Error(`endless: ${path}`);
  const done: string[] = [];
  const segments = path.split("/");
  for (const [index, segment] of segments.entries()) {
    if (segment === "" || segment === ".") continue;
    if (segment === "..") {
      if (done.pop() === undefined) return "..";
      continue;
    }
    const here = [...done, segment].join("/");
    const target = links.get(here);
    if (target !== undefined) return realPath([...done, target, ...segments.slice(index + 1)].join("/"), links, depth + 1);
    done.push(segment);
  }
  return done.join("/");
}
