/**
 * Compiles what is Java of our own: the zygote's main class into `lib/kappa-start.jar`, where the class path has it, and the function
 * that it warms up with into `training/`, laid out as a function's code. Runs while the image is built, on the Node that is in it:
 *
 *     node compile.ts /var/runtime
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { commandLine } from "./command-line.ts";

const run = promisify(execFile);

const TRAINING = join(import.meta.dirname, "Training.java");
const START = join(import.meta.dirname, "start");

/** The one class of the function that it has from a jar. */
const LIBRARY = "Training$Event.class";

/** The same sources make the same jar. */
const DATE = "2020-01-01T00:00:00Z";

/** @param runtime folder laid out as /var/runtime, with the client's jars in `lib` */
export async function compile(runtime: string): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), "compile-"));
  try {
    const [java = ""] = await commandLine(runtime, work);
    const lib = join(runtime, "lib");
    const jars = (await readdir(lib)).filter((name) => name.endsWith(".jar")).map((name) => join(lib, name));
    const javac = async (target: string, sources: readonly string[]): Promise<void> => {
      const options = ["-encoding", "UTF-8", "-classpath", jars.join(":"), "-d", target];
      await run(java, ["-m", "jdk.compiler/com.sun.tools.javac.Main", "-nowarn", "-XDignore.symbol.file", ...options, ...sources]);
    };
    const jar = async (file: string, folder: string, name: string): Promise<void> => {
      await run(java, ["-m", "jdk.jartool/sun.tools.jar.Main", "--create", `--date=${DATE}`, "--file", file, "-C", folder, name]);
    };
    const start = (await readdir(START)).map((name) => join(START, name));
    await javac(work, start);
    await jar(join(lib, "kappa-start.jar"), work, "dev");
    const training = join(runtime, "training");
    await mkdir(join(training, "lib"), { recursive: true });
    await javac(training, [TRAINING]);
    await jar(join(training, "lib/library.jar"), training, LIBRARY);
    await rm(join(training, LIBRARY));
  } finally {
    await rm(work, { recursive: true });
  }
}

const [, self, runtime] = process.argv;
if (self === import.meta.filename && runtime !== undefined) await compile(runtime);
