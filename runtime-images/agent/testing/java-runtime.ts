/** The real java17 runtime outside its image: start-up files, AWS's runtime client brought by Maven, archive of its classes; on this machine's Java. */
import { execFile } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ensureProgram } from "../../../scripts/images/programs.ts";
import { javaRuntimeClient } from "../../../scripts/images/runtime-clients/java.ts";
import { compile } from "../../java17/build/compile.ts";
import { shareClasses } from "../../java17/build/share-classes.ts";

const run = promisify(execFile);
const SOURCES = fileURLToPath(new URL("../../java17", import.meta.url));

/** @returns a folder laid out as /var/runtime; remove it when done */
export async function javaRuntime(): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "kappa", "images");
  const folder = await mkdtemp(join(tmpdir(), "kappa-java-"));
  const logFile = join(folder, "build.log");
  await ensureProgram(["javac", "-version"], "default-jdk-headless", logFile);
  await cp(await javaRuntimeClient(join(SOURCES, "client.json"), join(cache, "clients"), logFile), join(folder, "lib"), {
    recursive: true,
  });
  const java = join(dirname(await realpath((await run("sh", ["-c", "command -v javac"])).stdout.trim())), "java");
  const bootstrap = await readFile(join(SOURCES, "bootstrap"), "utf8");
  await writeFile(join(folder, "bootstrap"), bootstrap.replace("/var/lang/bin/java", java));
  await cp(join(SOURCES, "zygote"), join(folder, "zygote"));
  for (const name of ["bootstrap", "zygote"]) await chmod(join(folder, name), 0o755);
  await compile(folder);
  await shareClasses(folder);
  return folder;
}

/**
 * Compiles classes of a function.
 * @param runtimeRoot see {@link javaRuntime}
 * @param sources file name → text
 * @returns file name → class file, as they lie in a package
 */
export async function compileJava(runtimeRoot: string, sources: Record<string, string>): Promise<Record<string, Uint8Array>> {
  const folder = await mkdtemp(join(tmpdir(), "kappa-javac-"));
  try {
    const target = join(folder, "classes");
    await mkdir(target);
    for (const [name, text] of Object.entries(sources)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const names = Object.keys(sources).map((name) => join(folder, name));
    await run("javac", ["-encoding", "UTF-8", "--release", "17", "-classpath", `${runtimeRoot}/lib/*`, "-d", target, ...names]);
    const classes: Record<string, Uint8Array> = {};
    for (const name of await readdir(target, { recursive: true }))
      if (name.endsWith(".class")) classes[name] = await readFile(join(target, name));
    return classes;
  } finally {
    await rm(folder, { recursive: true });
  }
}
