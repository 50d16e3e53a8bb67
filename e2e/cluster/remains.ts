import { readdir, readFile, stat } from "node:fs/promises";
import { existingCgroups, hierarchies, processesInCgroups } from "./cgroups.ts";
import { readIfThere } from "./files.ts";
import { INTERNET_INTERFACE, INTERNET_NAMESPACE } from "./internet/internet.ts";
import type { Paths } from "./paths.ts";
import { allProcesses, type ProcessInfo } from "./processes.ts";
import { dockerContainers } from "./remove.ts";

/** What is left of the cluster on the machine, one line each; empty when it is gone. Looks at the machine, not at any record. */
export async function whatRemains(paths: Paths): Promise<string[]> {
  const all = await hierarchies();
  const inCgroups = new Set(await processesInCgroups(all, paths.cgroup));
  const processes = await allProcesses();
  const mounts = await readFile("/proc/self/mountinfo", "utf8");
  const exists = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;
  return [
    ...processes
      .filter((info) => inCgroups.has(info.pid) || isOurs(info, paths))
      .map((info) => `process ${info.pid}: ${info.commandLine.join(" ").slice(0, 120)}`),
    ...(await dockerContainers()).map((id) => `container ${id} (docker)`),
    ...((await exists(paths.podman)) ? [`containers' storage ${paths.podman}`] : []),
    ...mountsBelow(mounts, [paths.stateDir, paths.cacheDir]).map((point) => `mount ${point}`),
    ...((await exists(`/run/netns/${INTERNET_NAMESPACE}`)) ? [`network namespace ${INTERNET_NAMESPACE}`] : []),
    ...((await exists(`/sys/class/net/${INTERNET_INTERFACE}`)) ? [`network interface ${INTERNET_INTERFACE}`] : []),
    ...(await existingCgroups(all, paths.cgroup)).map((folder) => `cgroup ${folder}`),
    ...(await bpfPins()).map((pin) => `BPF pin ${pin}`),
    ...((await readIfThere(paths.kubeconfig)) === undefined ? [] : [`kubeconfig ${paths.kubeconfig}`]),
  ];
}

/** Whether a process works with files that only the cluster's own processes open. */
export function isOurs(info: Pick<ProcessInfo, "commandLine">, paths: Pick<Paths, "podman" | "relays" | "internet">): boolean {
  const ours = [paths.podman, paths.relays, paths.internet].map((folder) => `${folder}/`);
  return info.commandLine.some((word) => ours.some((folder) => word.includes(folder)));
}

/** Mount points of a /proc/PID/mountinfo text that lie in one of the folders. */
export function mountsBelow(mountinfo: string, folders: readonly string[]): string[] {
  const points = mountinfo.split("\n").map((line) => line.split(" ")[4] ?? "");
  return points.filter((point) => folders.some((folder) => point === folder || point.startsWith(`${folder}/`)));
}

/** What Cilium would have pinned in the machine's own BPF file system; a node's is its own and goes with it. */
async function bpfPins(): Promise<string[]> {
  const names = await readdir("/sys/fs/bpf").catch(() => []);
  return names.filter((name) => name === "cilium" || name === "tc").map((name) => `/sys/fs/bpf/${name}`);
}
