import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { createCgroups, hierarchies, joiningCgroup, passControllersOn, processesInCgroups, removeCgroups } from "./cgroups.ts";
import { ClusterError } from "./failure.ts";
import { readIfThere } from "./files.ts";
import { DNS_ADDRESS } from "./internet/addresses.ts";
import type { Paths } from "./paths.ts";
import { end, identify, isRunning, ProcessId } from "./processes.ts";
import { waitFor } from "./run.ts";

/**
 * The capsule: PID, mount, network and cgroup namespaces of the cluster's own. podman, the nodes and all in them live inside, so ending the
 * capsule's first process makes the kernel end every process, mount, interface and network namespace with it, whatever state files are lost.
 */
export const Capsule = z.object({
  /** The capsule's first process, as the host sees it. */
  init: ProcessId,
  /** unshare(1), its parent. */
  parent: ProcessId,
  /** Name of the cgroup that all of it is in. */
  cgroup: z.string(),
});
export type Capsule = z.infer<typeof Capsule>;

/** Starts an empty capsule. What goes wrong is told in `capsule.log`. */
export async function startCapsule({ stateDir, logs, cgroup }: Pick<Paths, "stateDir" | "logs" | "cgroup">): Promise<Capsule> {
  const all = await hierarchies();
  await createCgroups(all, cgroup);
  await mkdir(logs, { recursive: true });
  const ready = join(stateDir, "capsule.ready");
  await rm(ready, { force: true });
  const logFile = join(logs, "capsule.log");
  const log = openSync(logFile, "w");
  const mounts = all.flatMap(({ mountPoint, type, options }) => [mountPoint, type, options || "-"]);
  const unshare = [
    "unshare",
    "--mount",
    "--pid",
    "--net",
    "--fork",
    "--",
    "sh",
    join(import.meta.dirname, "capsule-init.sh"),
    ready,
    DNS_ADDRESS,
    ...mounts,
  ];
  const inNamespace = ["unshare", "--cgroup", "--", "sh", ...joiningCgroup(all, cgroup), ...unshare];
  const child = spawn("sh", [...joiningCgroup(all, cgroup, true), ...inNamespace], {
    cwd: "/",
    detached: true,
    stdio: ["ignore", log, log],
  });
  closeSync(log);
  child.unref();
  let exited: number | null | undefined;
  child.once("exit", (code) => {
    exited = code;
  });
  if (child.pid === undefined) throw new ClusterError("unshare could not be started", "install util-linux");
  const pid = child.pid;
  try {
    const capsule = await waitFor(
      "the capsule",
      20_000,
      async () => {
        if (exited !== undefined) throw new Error(`it exited with ${exited}`);
        if ((await readIfThere(ready)) === undefined) return undefined;
        const init = Number((await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim());
        const [parentId, initId] = await Promise.all([identify(pid), identify(init)]);
        return parentId && initId && { parent: parentId, init: initId, cgroup };
      },
      50,
    );
    await passControllersOn(all, cgroup);
    return capsule;
  } catch (error) {
    if (error instanceof ClusterError) throw error;
    throw new ClusterError(
      `the cluster's namespaces could not be set up: ${error instanceof Error ? error.message : error}\n${(await readIfThere(logFile)) ?? ""}`,
      "run as root on a machine that allows new namespaces (CAP_SYS_ADMIN), then again",
      { cause: error },
    );
  } finally {
    await rm(ready, { force: true });
  }
}

/** Whether the capsule that was recorded still runs. */
export const capsuleRuns = (capsule: Capsule): Promise<boolean> => isRunning(capsule.init);

/** The command that runs another one inside the capsule, as a member of its cgroup. Files are the host's; /run is the capsule's own. */
export async function insideCapsule(capsule: Capsule, argv: readonly string[]): Promise<string[]> {
  const nsenter = ["nsenter", "--target", String(capsule.init.pid), "--mount", "--net", "--pid", "--cgroup", "--", ...argv];
  return ["sh", ...joiningCgroup(await hierarchies(), capsule.cgroup), ...nsenter];
}

/**
 * Ends the capsule with all that runs in it, then whatever else is in its cgroups (it can be nothing but the cluster's), then removes these.
 * Works without a record of the capsule too.
 */
export async function endCapsule(capsule: Capsule | undefined, cgroup: string): Promise<void> {
  if (capsule) {
    await end(capsule.init, "SIGKILL");
    await end(capsule.parent, "SIGKILL");
  }
  const all = await hierarchies();
  for (let round = 0; round < 20; round++) {
    const left = await processesInCgroups(all, cgroup);
    if (left.length === 0) break;
    for (const pid of left) {
      const id = await identify(pid);
      if (id) await end(id, "SIGKILL");
    }
  }
  await removeCgroups(all, cgroup);
}
