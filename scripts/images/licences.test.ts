import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { licencesOf } from "./licences.ts";

test("every bundled package is named once with its licence, nested and scoped ones too, and Kappa's own files are not", async () => {
  const root = await mkdtemp(join(tmpdir(), "kappa-licences-"));
  try {
    const add = async (folder: string, name: string, files: Record<string, string>): Promise<void> => {
      await mkdir(join(root, folder), { recursive: true });
      await writeFile(join(root, folder, "package.json"), JSON.stringify({ name, version: "1.0.0", license: "MIT" }));
      for (const [file, text] of Object.entries(files)) await writeFile(join(root, folder, file), text);
    };
    await add("node_modules/a", "a", { LICENSE: "licence of a" });
    await add("node_modules/a/node_modules/@s/b", "@s/b", {
      "LICENCE.md": "licence of b",
      "NOTICE.txt": "notice of b",
      "index.js": "code",
    });
    const text = await licencesOf(
      ["src/main.ts", "node_modules/a/x.js", "node_modules/a/lib/y.js", "node_modules/a/node_modules/@s/b/index.js"],
      root,
    );
    expect(text.match(/ 1\.0\.0 \(MIT\)/g)).toHaveLength(2);
    for (const part of ["a 1.0.0", "@s/b 1.0.0", "licence of a", "licence of b", "notice of b"]) expect(text).toContain(part);
    expect(text).not.toContain("code");
  } finally {
    await rm(root, { recursive: true, force: true });
  }
});
