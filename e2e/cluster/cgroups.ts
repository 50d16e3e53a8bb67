import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ClusterError } from "./failure.ts";
import { isMissing, textSha256 } from "./files.ts";

/** A mounted cgroup hierarchy: one per controller with cgroup v1, one for all with v2; hybrid systems have both kinds. */
export type Hierarchy = { readonly mountPoint: string; readonly type: "cgroup" | "cgroup2"; readonly options: string };

/** Name of the cgroup that holds everything of the cluster with this state folder, in each hierarchy. */
export const cgroupName = (stateDir: string) => `kappa-${textSha256(stateDir).slice(0, 12)}`;
/** With v2 a cgroup that passes controllers on may hold no process itself, so processes go into this leaf. */
const LEAF = "init";

/** The cgroup hierarchies in a /proc/PID/mountinfo text (format: proc(5)). */
export function parseHierarchies(mountinfo: string): Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of mountinfo.split("\n")) {
    const [before, after] = line.split(" - ");
    const mountPoint = before?.split(" ")[4];
    const [type, , superOptions] = after?.split(" ") ?? [];
    if (mountPoint === undefined || (type !== "cgroup" && type !== "cgroup2")) continue;
    const options = (superOptions ?? "")
      .split(",")
      .filter(
        (option) =>
          !["rw", "ro", "xattr", "clone_children", "nsdelegate", "memory_recursiveprot"].includes(option) &&
          !option.startsWith("release_agent="),
      );
    // A named hierarchy without controllers is mounted with "none".
    if (type === "cgroup" && options.every((option) => option.startsWith("name="))) options.unshift("none");
    found.push({ mountPoint, type, options: type === "cgroup2" ? "" : options.join(",") });
  }
  return found;
}

/** This machine's hierarchies. */
export async function hierarchies(): Promise<Hierarchy[]> {
  return parseHierarchies(await readFile("/proc/self/mountinfo", "utf8"));
}

/** Makes the cluster's cgroup in every hierarchy; what is there already stays. */
export async function createCgroups(all: readonly Hierarchy[], name: string): Promise<void> {
  for (const { mountPoint, type, options } of all) {
    const folder = join(mountPoint, name);
    await mkdir(type === "cgroup2" ? join(folder, LEAF) : folder, { recursive: true });
    if (options.split(",").includes("cpuset")) {
      // A v1 cpuset takes no process before it was given processors and memory nodes.
      for (const file of ["cpuset.cpus", "cpuset.mems"])
        await writeFile(join(folder, file), await readFile(join(mountPoint, file), "utf8"));
    }
  }
}

/**
 * Gives the cluster's cgroup the controllers that limit processes and memory. Only needed where cgroup v2 has them: a cgroup there has no more
 * than the root passes on.
 */
export async function passControllersOn(all: readonly Hierarchy[], name: string): Promise<void> {
  const [only, ...more] = all;
  if (only?.type !== "cgroup2" || more.length > 0) return;
  const root = only.mountPoint;
  const controllers = (await readFile(join(root, "cgroup.controllers"), "utf8")).trim().split(" ");
  try {
    for (const controller of controllers.filter((word) => word !== "")) {
      for (const folder of [root, join(root, name)]) await writeFile(join(folder, "cgroup.subtree_control"), `+${controller}`);
    }
  } catch (error) {
    throw new ClusterError(
      `the root cgroup ${root} passes no controllers on: ${error instanceof Error ? error.message : error}`,
      "run on the machine itself, or in a container with the machine's cgroups (--cgroupns=host), or set KAPPA_ENGINE=docker",
      { cause: error },
    );
  }
}

/**
 * Arguments for sh(1) that make it join the cluster's cgroup and become the command that follows them. `top`: the cgroup itself also where
 * processes may not stay in it, for the moment in which a namespace takes it as its root.
 */
export function joiningCgroup(all: readonly Hierarchy[], name: string, top = false): string[] {
  const files = all.map(({ mountPoint, type }) => join(mountPoint, name, ...(type === "cgroup2" && !top ? [LEAF] : []), "cgroup.procs"));
  return ["-c", `${files.map((file) => `echo $$ >${file}`).join("; ")}; exec "$@"`, "kappa"];
}

/** The cluster's cgroups that exist. */
export async function existingCgroups(all: readonly Hierarchy[], name: string): Promise<string[]> {
  const found = await Promise.all(
    all.map(async ({ mountPoint }) => {
      const folder = join(mountPoint, name);
      return (await subfolders(folder)) === undefined ? [] : [folder];
    }),
  );
  return found.flat();
}

/** Ids of all processes in the cluster's cgroups. */
export async function processesInCgroups(all: readonly Hierarchy[], name: string): Promise<number[]> {
  const ids = new Set<number>();
  for (const folder of await existingCgroups(all, name)) await collectProcesses(folder, ids);
  return [...ids];
}

async function collectProcesses(folder: string, into: Set<number>): Promise<void> {
  const text = await readFile(join(folder, "cgroup.procs"), "utf8").catch(() => "");
  for (const id of text.split("\n")) if (id !== "" && id !== "0") into.add(Number(id));
  for (const name of (await subfolders(folder)) ?? []) await collectProcesses(join(folder, name), into);
}

/** Removes the cluster's cgroups with all below them; they must hold no process any more. */
export async function removeCgroups(all: readonly Hierarchy[], name: string): Promise<void> {
  for (const folder of await existingCgroups(all, name)) await removeTree(folder);
}

async function removeTree(folder: string): Promise<void> {
  for (const name of (await subfolders(folder)) ?? []) await removeTree(join(folder, name));
  // The kernel empties a cgroup shortly after its last process is gone; until then removing says EBUSY.
  for (let tries = 1; ; tries++) {
    try {
      return await rmdir(folder);
    } catch (error) {
      if (isMissing(error)) return;
      if (tries === 100) throw error;
      await sleep(50);
    }
  }
}

async function subfolders(folder: string): Promise<string[] | undefined> {
  try {
    return (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
