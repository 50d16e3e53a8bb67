/**
 * Packages as people build them: a folder with source text and the lock file of its package manager becomes the zip archive that they
 * would upload. Nothing but the package managers brings in code of others. An archive is kept by the content of its folder, the tool's
 * version and the way it is called, under `${XDG_CACHE_HOME:-~/.cache}/kappa/packages`.
 */
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contentDigest } from "../../../../scripts/images/files.ts";
import { ensureProgram } from "../../../../scripts/images/programs.ts";
import { removeUnused, textSha256 } from "../../../cluster/files.ts";
import { paths } from "../../../cluster/index.ts";
import { run } from "../../../cluster/run.ts";
import { filesBelow, zipOf } from "./zip.ts";

interface Build {
  /** First part of the archive's name in the cache. */
  kind: string;
  /** The folder to be packed. */
  folder: string;
  /** A call of the tool that prints its version, and the Debian package that brings it where it is not there. */
  tool: readonly [argv: readonly string[], debianPackage: string];
  /** Anything else that decides what comes out. */
  settings: readonly string[];
  /** Makes the package's files from a copy of the folder, in place or in a folder whose path it returns. */
  make: (copy: string, run: (argv: readonly string[], env?: Record<string, string>) => Promise<string>) => Promise<string>;
}

const CPU = process.arch === "arm64" ? { go: "arm64", wheel: "aarch64" } : { go: "amd64", wheel: "x86_64" };

/** A folder with `package.json` and `package-lock.json`: what `npm ci` vendors, beside the folder's own files. */
export const npmPackage = (folder: string): Promise<Uint8Array> => {
  const ci = ["npm", "ci", "--omit=dev", "--no-bin-links", "--no-audit", "--no-fund", "--loglevel=error"];
  return built({
    kind: "npm",
    folder,
    tool: [["npm", "--version"], "npm"],
    settings: ci,
    make: async (copy, run) => {
      await run(ci);
      return copy;
    },
  });
};

/** A folder with `requirements.txt`: the wheels for Lambda's platform and Python 3.11, beside the folder's own files. */
export const pipPackage = (folder: string): Promise<Uint8Array> => {
  const pip = ["python3", "-m", "pip"];
  const platform = ["--platform", `manylinux_2_28_${CPU.wheel}`, "--platform", `manylinux2014_${CPU.wheel}`];
  const install = [
    ...[...pip, "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", "."],
    ...[...platform, "--python-version", "3.11", "--only-binary=:all:", "--requirement", "requirements.txt"],
  ];
  return built({
    kind: "pip",
    folder,
    tool: [[...pip, "--version"], "python3-pip"],
    settings: install,
    make: async (copy, run) => {
      await run(install);
      return copy;
    },
  });
};

/** A folder with a Go program whose modules `go.mod` and `go.sum` pin: its executable, named `bootstrap`. */
export const goPackage = (folder: string): Promise<Uint8Array> => {
  const build = ["go", "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-tags", "lambda.norpc"];
  const env = { CGO_ENABLED: "0", GOOS: "linux", GOARCH: CPU.go };
  return built({
    kind: "go",
    folder,
    tool: [["go", "version"], "golang"],
    settings: [...build, JSON.stringify(env)],
    make: async (copy, run) => {
      await run([...build, "-o", "package/bootstrap", "."], env);
      return join(copy, "package");
    },
  });
};

/** The plug-in of Maven that fetches what a pom.xml depends on; pinned, since its default goes with Maven's version. */
const COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/**
 * A folder with `pom.xml` (for the dependencies) and `src/main/java`: classes for Java 17 at the root, the dependencies' jars in `lib/`,
 * as Lambda's guide lays a zip archive for Java out.
 */
export const javaPackage = (folder: string): Promise<Uint8Array> => {
  const javac = ["javac", "--release", "17", "-encoding", "UTF-8", "-Xlint:-options", "-parameters"];
  return built({
    kind: "java",
    folder,
    tool: [["javac", "--version"], "openjdk-17-jdk-headless"],
    settings: [...javac, COPY_DEPENDENCIES],
    make: async (copy, run) => {
      await ensureProgram(["mvn", "--version"], "maven", await logFile());
      const [classes, sources] = [join(copy, "package"), join(copy, "src/main/java")];
      const lib = join(classes, "lib");
      await mkdir(lib, { recursive: true });
      await run(["mvn", "--batch-mode", "--quiet", COPY_DEPENDENCIES, "-DincludeScope=runtime", `-DoutputDirectory=${lib}`]);
      const files = (await readdir(sources, { recursive: true })).filter((name) => name.endsWith(".java"));
      await run([...javac, "-classpath", `${lib}/*`, "-d", classes, ...files.map((name) => join(sources, name))]);
      return classes;
    },
  });
};

async function cacheFolder(): Promise<string> {
  const folder = join(paths().cacheDir, "packages");
  await mkdir(folder, { recursive: true });
  return folder;
}

const logFile = async (): Promise<string> => join(await cacheFolder(), "build.log");

async function built({ kind, folder, tool: [version, debianPackage], settings, make }: Build): Promise<Uint8Array> {
  const log = await logFile();
  await ensureProgram(version, debianPackage, log);
  const key = textSha256(await contentDigest(folder), await run(version), process.arch, ...settings).slice(0, 16);
  const name = `${kind}-${key}.zip`;
  const cache = await cacheFolder();
  const kept = await readFile(join(cache, name)).catch(() => undefined);
  await removeUnused(cache, [name]);
  if (kept !== undefined) return kept;
  const copy = await mkdtemp(join(tmpdir(), `kappa-${kind}-`));
  try {
    await cp(folder, copy, { recursive: true });
    const made = await make(copy, (argv, env = {}) => run(argv, { cwd: copy, env, logFile: log }));
    const bytes = zipOf(await filesBelow(made));
    const unfinished = join(cache, `${name}.${process.pid}`);
    await writeFile(unfinished, bytes);
    await rename(unfinished, join(cache, name));
    return bytes;
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}
