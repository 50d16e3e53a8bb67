import { chmod, copyFile, cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { ClusterError } from "../../../e2e/cluster/failure.ts";
import { textSha256 } from "../../../e2e/cluster/files.ts";
import { CommandError, run } from "../../../e2e/cluster/run.ts";
import { contentDigest } from "../files.ts";
import { licencesOf } from "../licences.ts";
import { ensureProgram } from "../programs.ts";
import { kept } from "./kept.ts";
import { importablePackages, isOfUse } from "./nodejs-packages.ts";

/** What the client's native module is compiled with, and the Debian packages that bring it. */
const BUILD_TOOLS = [
  [["cmake", "--version"], "cmake"],
  [["make", "--version"], "make"],
  [["g++", "--version"], "g++"],
  [["python3", "--version"], "python3"],
  [["xz", "--version"], "xz-utils"],
] as const;

/**
 * Client of each runtime: name of the package in package.json, and the file in it. Version 4 refuses handlers with a callback, which
 * Lambda removed with Node.js 24; with Node.js 22 Lambda still runs version 3. Both use the same native module.
 */
const CLIENTS = {
  "nodejs22.x": { folder: "node_modules/aws-lambda-ric-3", code: "dist/index.mjs" },
  "nodejs24.x": { folder: "node_modules/aws-lambda-ric", code: "index.mjs" },
} as const;

type NodejsRuntime = keyof typeof CLIENTS;

/**
 * AWS's runtime clients for Node.js with their native module, the SDK, and Node 22, from npm; kept by the content of the lock file and of this one.
 * @param packages folder of package.json and package-lock.json
 * @returns per runtime a directory that holds `runtime` (to be /var/runtime), and for Node 22 `lang` (to be /var/lang)
 * @throws ClusterError when a build tool is missing, or npm cannot get or compile a package
 */
export async function nodejsRuntimeClients(packages: string, folder: string, logFile: string): Promise<Record<NodejsRuntime, string>> {
  const ownCode = [import.meta.filename, join(import.meta.dirname, "nodejs-packages.ts")];
  const sources = [join(packages, "package.json"), join(packages, "package-lock.json"), ...ownCode];
  const key = textSha256(process.arch, ...(await Promise.all(sources.map(contentDigest)))).slice(0, 12);
  const all = await kept(join(folder, "nodejs", key), async (unfinished) => {
    const work = join(unfinished, "work");
    await install(packages, work, logFile);
    await assemble(work, unfinished);
    await rm(work, { recursive: true });
  });
  return { "nodejs22.x": join(all, "nodejs22.x"), "nodejs24.x": join(all, "nodejs24.x") };
}

/** Installs what the lock file says into `work` and compiles the native module. */
async function install(packages: string, work: string, logFile: string): Promise<void> {
  for (const [program, debianPackage] of BUILD_TOOLS) await ensureProgram(program, debianPackage, logFile);
  await mkdir(work, { recursive: true });
  for (const name of ["package.json", "package-lock.json"]) await copyFile(join(packages, name), join(work, name));
  const npm = (...words: string[]): string[] => ["npm", ...words, "--no-audit", "--no-fund", "--loglevel=error"];
  // node-gyp would download the headers of the Node that it runs on. A module for Node-API fits all later versions too.
  const headers = { npm_config_nodedir: join(work, NODE_PACKAGE), npm_config_ignore_scripts: "false" };
  // Without this machine's paths in the module.
  const env = { ...headers, CXX: `g++ -ffile-prefix-map=${work}/=` };
  try {
    await run(npm("ci", "--ignore-scripts", "--include=dev", "--include=optional"), { cwd: work, logFile });
    await run(npm("rebuild", "aws-lambda-ric", "--foreground-scripts"), { cwd: work, logFile, env });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new ClusterError(
      `the runtime clients for Node.js could not be made: ${error.message}`,
      "check that npm reaches its registry; the end of the output above says which package or compiler failed",
      { cause: error },
    );
  }
  await run(["strip", "--strip-all", join(work, NATIVE_MODULE)], { logFile });
}

/** The package with Node's binary and headers for this machine. */
const NODE_PACKAGE = `node_modules/node-linux-${process.arch === "arm64" ? "arm64" : "x64"}`;
const NATIVE_MODULE = "node_modules/aws-lambda-ric/rapid-client.node";

/** Puts what runs, with its licences, into the directories of the images. */
async function assemble(work: string, target: string): Promise<void> {
  const importable = importablePackages(await readFile(join(work, "package-lock.json"), "utf8"));
  for (const [runtime, client] of Object.entries(CLIENTS)) {
    const folder = join(target, runtime, "runtime");
    await mkdir(folder, { recursive: true });
    await copyFile(join(work, client.folder, client.code), join(folder, "index.mjs"));
    await chmod(join(folder, "index.mjs"), 0o644);
    await copyFile(join(work, NATIVE_MODULE), join(folder, "rapid-client.node"));
    for (const name of importable) await copyPackage(join(work, name), join(folder, name));
    const licences = await licencesOf([...importable, client.folder], work);
    // Lambda's name for it.
    await writeFile(join(folder, "THIRD-PARTY-LICENSES.txt"), licences);
  }
  const lang = join(target, "nodejs22.x", "lang");
  await mkdir(join(lang, "bin"), { recursive: true });
  await rename(join(work, NODE_PACKAGE, "bin/node"), join(lang, "bin/node"));
  await copyFile(join(work, NODE_PACKAGE, "LICENSE"), join(lang, "LICENSE"));
}

/** Copies a package without what is of no use, and without the packages inside it, which have entries of their own. */
async function copyPackage(source: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await cp(source, target, {
    recursive: true,
    filter: (path) => {
      const inside = relative(source, path);
      return isOfUse(inside) && !inside.split("/").includes("node_modules");
    },
  });
}
