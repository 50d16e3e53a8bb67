import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { generatedFiles, staleFiles } from "./generate.ts";

const ROOT = join(import.meta.dirname, "..");

test("every generated file is what its source says (else: npm run generate)", async () => {
  expect(await staleFiles(ROOT)).toEqual([]);
});

test("a missing file and a changed one are found", async () => {
  const root = mkdtempSync(join(tmpdir(), "kappa-generate-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  cpSync(join(ROOT, "crds"), join(root, "crds"), { recursive: true });
  const files = await generatedFiles(root);
  expect(await staleFiles(root)).toEqual([...files.keys()]);

  for (const [path, content] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  expect(await staleFiles(root)).toEqual([]);

  writeFileSync(join(root, "docs/reference/errors.md"), "something else");
  expect(await staleFiles(root)).toEqual(["docs/reference/errors.md"]);
});
