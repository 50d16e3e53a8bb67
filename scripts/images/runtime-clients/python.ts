import { rm } from "node:fs/promises";
import { join } from "node:path";
import { ClusterError } from "../../../e2e/cluster/failure.ts";
import { textSha256 } from "../../../e2e/cluster/files.ts";
import { CommandError, run } from "../../../e2e/cluster/run.ts";
import { contentDigest } from "../files.ts";
import { ensureProgram } from "../programs.ts";
import { kept } from "./kept.ts";

const PIP = ["python3", "-m", "pip"];

/** Chooses wheels for the interpreter in the image, whatever Python runs pip here. Only wheels: what has to be compiled would fit this machine. */
const FOR_PYTHON_311 = [
  "--python-version=3.11",
  "--implementation=cp",
  "--abi=cp311",
  `--platform=manylinux2014_${process.arch === "arm64" ? "aarch64" : "x86_64"}`,
  "--only-binary=:all:",
];

/**
 * AWS's runtime client for Python and what it needs, from pip; kept by the content of the requirements.
 * @returns the directory to be put on PYTHONPATH
 * @throws ClusterError when there is no pip, or it cannot get a package
 */
export async function pythonRuntimeClient(requirements: string, folder: string, logFile: string): Promise<string> {
  const key = textSha256(await contentDigest(requirements), ...FOR_PYTHON_311).slice(0, 12);
  return await kept(join(folder, "python3.11", key), async (unfinished) => {
    await ensureProgram([...PIP, "--version"], "python3-pip", logFile);
    try {
      await run(
        [
          ...PIP,
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
        { logFile },
      );
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      throw new ClusterError(
        `the runtime client for Python could not be installed: ${error.message}`,
        `check that pip reaches its index and that every package in ${requirements} has a wheel`,
        { cause: error },
      );
    }
    // Scripts with this machine's Python in their first line; nobody in an environment calls them.
    await rm(join(unfinished, "bin"), { recursive: true, force: true });
  });
}
