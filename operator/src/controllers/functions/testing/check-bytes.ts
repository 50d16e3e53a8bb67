import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkPackageFile } from "../package-check.ts";

/** Checks a package that a test has in memory. */
export async function checkBytes(bytes: Uint8Array): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "kappa-package-test-"));
  try {
    const path = join(folder, "package.zip");
    await writeFile(path, bytes);
    await checkPackageFile({ path, size: bytes.length });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
