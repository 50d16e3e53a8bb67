/** Cgroups of either version for a test, where the machine lets them be made. */
import { mkdir, mkdtemp, rm, rmdir, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TestCgroup {
  /** File that takes the id of a process to be moved in. */
  procs: string;
  /** A folder as a container sees it at /sys/fs/cgroup. */
  root: string;
  remove(): Promise<void>;
}

/** @returns undefined where this is not possible */
export async function memoryCgroup(limitBytes: number): Promise<TestCgroup | undefined> {
  return await makeCgroup("memory", {
    v1: { "memory.limit_in_bytes": limitBytes },
    v2: { "memory.max": limitBytes, "memory.swap.max": 0 },
  });
}

/** @returns undefined where this is not possible */
export async function processCgroup(most: number): Promise<TestCgroup | undefined> {
  return await makeCgroup("pids", { v1: { "pids.max": most }, v2: { "pids.max": most } });
}

interface Limits {
  v1: Record<string, number>;
  v2: Record<string, number>;
}

async function makeCgroup(controller: string, limits: Limits): Promise<TestCgroup | undefined> {
  const name = `kappa-test-${process.pid}-${Date.now()}`;
  const v1 = await stat(`/sys/fs/cgroup/${controller}`).catch(() => undefined);
  const folder = v1 ? `/sys/fs/cgroup/${controller}/${name}` : `/sys/fs/cgroup/${name}`;
  const root = await mkdtemp(join(tmpdir(), "kappa-cgroup-"));
  const remove = async (): Promise<void> => {
    await rm(root, { recursive: true, force: true });
    // Its last process may still be on its way out.
    for (let tries = 0; tries < 50; tries++) {
      const removed = await rmdir(folder).then(
        () => true,
        (error) => error.code === "ENOENT",
      );
      if (removed) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  try {
    await mkdir(folder);
    for (const [file, limit] of Object.entries(v1 ? limits.v1 : limits.v2)) {
      // Swap is not limited everywhere.
      await writeFile(join(folder, file), String(limit)).catch((error) => {
        if (file !== "memory.swap.max") throw error;
      });
    }
    if (v1) await symlink(folder, join(root, controller));
    return { procs: join(folder, "cgroup.procs"), root: v1 ? root : folder, remove };
  } catch {
    await remove();
    return undefined;
  }
}
