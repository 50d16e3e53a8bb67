import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ClusterError } from "../../e2e/cluster/failure.ts";
import { textSha256 } from "../../e2e/cluster/files.ts";
import { attempt, CommandError, run } from "../../e2e/cluster/run.ts";
import { contentDigest } from "./files.ts";

/** Chooses wheels for the interpreter in the image, whatever Python runs pip here. Only wheels: what has to be compiled would fit this machine. */
const FOR_PYTHON_311 = [
  "--python-version=3.11",
  "--implementation=cp",
  "--abi=cp311",
  "--platform=manylinux2014_x86_64",
  "--only-binary=:all:",
];

/**
 * AWS's runtime client for Python and what it needs, from pip; kept by the content of the requirements.
 * @returns the directory to be put on PYTHONPATH
 * @throws ClusterError when pip is missing or cannot get a package
 */
export async function pythonRuntimeClient(requirements: string, folder: string, logFile: string): Promise<string> {
  const key = textSha256(await contentDigest(requirements), ...FOR_PYTHON_311).slice(0, 12);
  const target = join(folder, "python3.11", key);
  const complete = await contentDigest(target).catch(() => undefined);
  if (complete !== undefined) return target;
  const pip = await findPip();
  const unfinished = `${target}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(dirname(target), { recursive: true });
  try {
    await run(
      [
        ...pip,
        "install",
        "--no-compile",
        "--disable-pip-version-check",
        "--no-cache-dir",
        ...FOR_PYTHON_311,
        "--target",
        unfinished,
        "--requirement",
        requirements,
      ],
      {
        logFile,
      },
    );
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new ClusterError(
      `the runtime client for Python could not be installed: ${error.message}`,
      `check that pip reaches its index and that every package in ${requirements} has a wheel`,
      {
        cause: error,
      },
    );
  }
  // Scripts with this machine's Python in their first line; nobody in an environment calls them.
  await rm(join(unfinished, "bin"), { recursive: true, force: true });
  await rename(unfinished, target);
  return target;
}

async function findPip(): Promise<string[]> {
  for (const pip of [["python3", "-m", "pip"], ["pip3"]]) {
    if ((await attempt([...pip, "--version"])).exitCode === 0) return pip;
  }
  throw new ClusterError("the runtime client for Python cannot be installed: there is no pip", "apt-get install python3-pip");
}
