/** The real python3.11 runtime outside its image: start-up file, AWS's runtime client installed by pip into the cache. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const SOURCE = new URL("../../python3.11/", import.meta.url);

/** @returns a folder laid out as /var/runtime; remove it when done */
export async function pythonRuntime(): Promise<string> {
  const client = await installClient();
  const folder = await mkdtemp(join(tmpdir(), "kappa-python-"));
  await symlink(client, join(folder, "python"));
  await program(folder, "bootstrap", await readFile(new URL("bootstrap", SOURCE), "utf8"));
  return folder;
}

/** Adds the barest zygote to such a folder. @param first statements that it runs before anything else */
export async function addPythonZygote(folder: string, first = ""): Promise<void> {
  await program(folder, "zygote", `#!\n${first}\n${await readFile(new URL("zygote.py", import.meta.url), "utf8")}`);
}

async function program(folder: string, name: string, source: string): Promise<void> {
  const python = (await run("sh", ["-c", "command -v /usr/bin/python3.11 || command -v python3.11"])).stdout.trim();
  await writeFile(join(folder, name), source.replace(/^#!.*/, `#!${python}`));
  await chmod(join(folder, name), 0o755);
}

async function installClient(): Promise<string> {
  const requirements = new URL("requirements.txt", SOURCE);
  const key = createHash("sha256")
    .update(await readFile(requirements))
    .digest("hex")
    .slice(0, 12);
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "kappa", "test-runtimes");
  const target = join(cache, `python3.11-${key}`);
  if (await stat(target).catch(() => undefined)) return target;
  await mkdir(cache, { recursive: true });
  const unfinished = await mkdtemp(`${target}-`);
  try {
    const options = ["--quiet", "--require-hashes", "--only-binary=:all:", "--python-version=3.11", "--no-compile"];
    await run("python3", ["-m", "pip", "install", ...options, "--target", unfinished, "--requirement", requirements.pathname]);
    await rename(unfinished, target);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    // Another test run may have been faster.
    if (!(await stat(target).catch(() => undefined))) throw error;
  }
  return target;
}
