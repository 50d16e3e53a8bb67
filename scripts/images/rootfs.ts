import { chmod, mkdir, rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { run } from "../../e2e/cluster/run.ts";
import { answers, ensureProgram } from "./programs.ts";
import { DEBIAN, FINISH_SCRIPT, type RootfsRecipe } from "./recipes.ts";

const MMDEBSTRAP = ["mmdebstrap", "--version"];

/** Where a container that makes a root file system sees the script and the result. */
const IN_CONTAINER = { finish: "/kappa/finish.sh", out: "/kappa/out" };

/**
 * Makes the tar of a root file system with mmdebstrap: here where it is or can be installed, else in a Debian container.
 * @param checkout folder of the checkout
 * @throws ClusterError when neither is possible
 */
export async function makeRootfs(recipe: RootfsRecipe, tar: string, checkout: string, logFile: string): Promise<void> {
  await mkdir(dirname(tar), { recursive: true });
  const unfinished = join(dirname(tar), `.unfinished-${basename(tar)}`);
  const finish = join(checkout, FINISH_SCRIPT);
  // Only where it is not Debian that this runs on.
  if (!(await answers(...MMDEBSTRAP)) && !(await answers("apt-get", "--version")) && (await answers("docker", "version"))) {
    const make = ["mmdebstrap", ...mmdebstrapArguments(recipe, IN_CONTAINER.finish), DEBIAN, join(IN_CONTAINER.out, basename(unfinished))];
    const script = `apt-get update -q && apt-get install -qy --no-install-recommends mmdebstrap && exec ${make.map(quote).join(" ")}`;
    // mmdebstrap mounts /proc inside the new root, which a container may only do when privileged.
    const mounts = ["--volume", `${finish}:${IN_CONTAINER.finish}:ro`, "--volume", `${dirname(tar)}:${IN_CONTAINER.out}`];
    await run(["docker", "run", "--rm", "--privileged", ...mounts, `debian:${DEBIAN}-slim`, "sh", "-c", script], { logFile });
  } else {
    await ensureProgram(MMDEBSTRAP, "mmdebstrap", logFile);
    await run(["mmdebstrap", ...mmdebstrapArguments(recipe, finish), DEBIAN, unfinished], { logFile });
  }
  await chmod(unfinished, 0o644);
  await rename(unfinished, tar);
}

/** Makes /bin, /lib and the like links into /usr before anything is installed: a part of mmdebstrap. */
const MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr";

/** What mmdebstrap itself would clean up, finish.sh has removed already. */
const SKIPPED = ["cleanup/apt", "cleanup/mmdebstrap", "cleanup/reproducible", "output/dev"];

function mmdebstrapArguments(recipe: RootfsRecipe, finish: string): string[] {
  const directories = recipe.directories.map((directory) => `"$1"${quote(directory)}`).join(" ");
  return [
    `--variant=${recipe.variant}`,
    `--include=${recipe.packages.join(",")}`,
    ...(recipe.variant === "essential" ? [`--hook-dir=${MERGED_USR}`] : []),
    `--skip=${SKIPPED.join(",")}`,
    ...(recipe.excluded ?? []).map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
    // The last hook that a variant has.
    `--${recipe.variant === "extract" ? "extract" : "customize"}-hook=${quote(finish)} "$1" ${quote(recipe.user.name)} ${recipe.user.id} ${directories}`,
  ];
}

/** One word for a shell. */
const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
