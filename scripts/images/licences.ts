import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Files that hold a package's licence, as authors name them. */
const LICENCE_FILE = /^(licen[cs]e|copying|notice|copyright|third-party-licen[cs]es)/i;

/** Folder of the package that a bundled file belongs to (`node_modules/@scope/name`, nested ones too); undefined for Kappa's own. */
function packageFolder(input: string): string | undefined {
  return /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
}

/**
 * Names, versions and licences of the packages that went into a bundle: their authors ask for them to go wherever the code goes.
 * @param inputs paths of the bundled files, relative to `root` (keys of esbuild's `metafile.inputs`)
 */
export async function licencesOf(inputs: readonly string[], root: string): Promise<string> {
  const folders = new Set(inputs.map(packageFolder).filter((folder) => folder !== undefined));
  const sections = await Promise.all([...folders].map((folder) => describe(join(root, folder))));
  return sections.toSorted().join(`\n${"-".repeat(80)}\n`);
}

async function describe(folder: string): Promise<string> {
  const { name, version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as Record<string, unknown>;
  const files = (await readdir(folder)).filter((file) => LICENCE_FILE.test(file)).toSorted();
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
  return [`${String(name)} ${String(version)} (${typeof license === "string" ? license : "see below"})`, ...texts].join("\n\n");
}
