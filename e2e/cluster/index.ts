import { checkNodeName, findCluster } from "./cluster.ts";
import { killNode, startNode } from "./node-loss.ts";
import { type Paths, pathsOf } from "./paths.ts";
import type { RunOptions, RunResult } from "./run.ts";
import { settingsFrom } from "./settings.ts";

/** What the suites use of the cluster. Each function finds the running one by itself. */
export { WORKER } from "./settings.ts";

/** Where everything of the cluster lies: kubeconfig, audit log, programs, logs. Works without a cluster too. */
export const paths = (): Paths => pathsOf(settingsFrom(process.env));

/** Runs a command on a node, as root, whatever its exit code. */
export async function execOnNode(node: string, argv: readonly string[], options?: RunOptions): Promise<RunResult> {
  const { engine } = await findCluster();
  return engine.tryContainers(["exec", checkNodeName(node), ...argv], options);
}

/** Kills a node's container at once, as a power cut would. */
export const killClusterNode = async (node: string): Promise<void> => killNode(await findCluster(), checkNodeName(node));

/** Starts a killed node's container and waits until the node and its system pods are ready again. */
export const startClusterNode = async (node: string): Promise<void> => startNode(await findCluster(), checkNodeName(node));
