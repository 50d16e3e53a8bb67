/** A memory cgroup of either version for a test, where the machine lets one be made. */
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
  const name = `kappa-test-${process.pid}-${Date.now()}`;
  const v1 = await stat("/sys/fs/cgroup/memory").catch(() => undefined);
  const folder = v1 ? `/sys/fs/cgroup/memory/${name}` : `/sys/fs/cgroup/${name}`;
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
    if (v1) {
      await writeFile(join(folder, "memory.limit_in_bytes"), String(limitBytes));
      await symlink(folder, join(root, "memory"));
      return { procs: join(folder, "cgroup.procs"), root, remove };
    }
    await writeFile(join(folder, "memory.max"), String(limitBytes));
    await writeFile(join(folder, "memory.swap.max"), "0").catch(() => {});
    return { procs: join(folder, "cgroup.procs"), root: folder, remove };
  } catch {
    await remove();
    return undefined;
  }
}
