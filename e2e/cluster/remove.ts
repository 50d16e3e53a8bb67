import { rm, rmdir } from "node:fs/promises";
import { endCapsule } from "./capsule.ts";
import { INTERNET_INTERFACE, INTERNET_NAMESPACE } from "./internet/internet.ts";
import type { Paths } from "./paths.ts";
import { end } from "./processes.ts";
import { restoreKernelLimits } from "./requirements.ts";
import { attempt } from "./run.ts";
import { CLUSTER_NAME } from "./settings.ts";
import { currentBoot, forgetState, readState } from "./state.ts";

/** Where the nodes' kernel modules would be; a machine without any gets the empty folder while the cluster is there. */
export const MODULES_FOLDER = "/lib/modules";

const ofCluster = ["--filter", `label=io.x-k8s.kind.cluster=${CLUSTER_NAME}`];

/** Docker's containers of the cluster; none where there is no Docker. */
export async function dockerContainers(): Promise<string[]> {
  const listed = await attempt(["docker", "ps", "--all", "--quiet", ...ofCluster], { timeoutMs: 20_000 });
  return listed.exitCode === 0 ? listed.stdout.split("\n").filter((id) => id !== "") : [];
}

/** Removes the cluster, whole or half, recorded or not. What is not there is passed over. */
export async function removeCluster(paths: Paths): Promise<void> {
  const state = await readState(paths.stateDir);
  const containers = await dockerContainers();
  if (containers.length > 0) await attempt(["docker", "rm", "--force", "--volumes", ...containers]);
  // Fails while another kind cluster uses it, which is right; kind makes it again.
  if (containers.length > 0 || state?.engine === "docker") await attempt(["docker", "network", "rm", "kind"]);
  // After a boot the recorded ids are other processes'.
  const recorded = state?.bootId === (await currentBoot()) ? state : undefined;
  for (const process of recorded?.processes ?? []) await end(process);
  await endCapsule(recorded?.capsule, paths.cgroup);
  if (state?.engine !== "podman") {
    await attempt(["ip", "netns", "delete", INTERNET_NAMESPACE]);
    await attempt(["ip", "link", "delete", INTERNET_INTERFACE]);
  }
  if (state) await restoreKernelLimits(state.sysctls);
  if (state?.madeModulesFolder) await rmdir(MODULES_FOLDER).catch(() => undefined); // somebody filled it: it stays
  const { podman, kubeconfig, auditFolder, auditPolicy, kindConfig, exchange, internet, relays } = paths;
  for (const path of [podman, kubeconfig, auditFolder, auditPolicy, kindConfig, exchange, internet, relays]) {
    await rm(path, { recursive: true, force: true, maxRetries: 5 });
  }
  await forgetState(paths.stateDir);
}
