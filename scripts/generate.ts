/**
 * Writes everything that is derived from a source in this repository: `npm run generate`. With `--check` it writes nothing and
 * fails if a file differs from what it would write.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readCrds } from "./generate/crds.ts";
import { errorsReference } from "./generate/errors-reference.ts";
import { imagesReference } from "./generate/images-reference.ts";
import { metricsReference } from "./generate/metrics-reference.ts";
import { resourcesReference } from "./generate/resources-reference.ts";
import { typesModule } from "./generate/types.ts";

const ROOT = join(import.meta.dirname, "..");

/** Every generated file: path below the repository's root → content. */
export async function generatedFiles(root: string): Promise<Map<string, string>> {
  const crds = readCrds(root);
  return new Map([
    ["operator/src/api/types.generated.ts", await typesModule(crds)],
    ["docs/reference/resources.md", resourcesReference(crds)],
    ["docs/reference/errors.md", errorsReference()],
    ["docs/reference/metrics.md", metricsReference()],
    ["docs/reference/images.md", imagesReference()],
  ]);
}

/** Paths of generated files that are missing or differ from what their source says. */
export async function staleFiles(root: string): Promise<string[]> {
  const files = await generatedFiles(root);
  return [...files].filter(([path, content]) => existing(join(root, path)) !== content).map(([path]) => path);
}

function existing(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

async function main(check: boolean): Promise<void> {
  const stale = await staleFiles(ROOT);
  if (check) {
    for (const path of stale) console.error(`${path} is not what its source says: run npm run generate and commit the result`);
    process.exitCode = stale.length === 0 ? 0 : 1;
    return;
  }
  const files = await generatedFiles(ROOT);
  for (const path of stale) {
    mkdirSync(dirname(join(ROOT, path)), { recursive: true });
    writeFileSync(join(ROOT, path), files.get(path) ?? "");
    console.log(`wrote ${path}`);
  }
}

if (import.meta.main) await main(process.argv.includes("--check"));
