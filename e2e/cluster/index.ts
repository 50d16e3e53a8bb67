import { type Cluster, checkNodeName, findCluster, type NodeInfo, nodesOf } from "./cluster.ts";
import { loadArchives } from "./load.ts";
import { killNode, startNode } from "./node-loss.ts";
import { type Paths, pathsOf } from "./paths.ts";
import type { RunOptions, RunResult } from "./run.ts";
import { settingsFrom } from "./settings.ts";

/** What the image loader, the installer and the suites use of the cluster. All of them find the running one by themselves. */
export { ClusterError } from "./failure.ts";
export { METADATA_ADDRESS, PRIVATE_ADDRESS, WEB_ADDRESS, ZONE } from "./internet/addresses.ts";
export { GATEWAY_NODE_PORT, SPARE_NODE_PORT } from "./kind-config.ts";
export { CONTROL_PLANE, WORKER } from "./settings.ts";
export { type Cluster, findCluster, type NodeInfo };

/** Where everything of the cluster lies: kubeconfig, audit log, programs, logs. Works without a cluster too. */
export const paths = (): Paths => pathsOf(settingsFrom(process.env));

/** The nodes with their addresses. */
export const nodes = async (): Promise<NodeInfo[]> => nodesOf(await findCluster());

/** Runs kubectl against the cluster and returns its standard output. Throws a CommandError unless it exits with 0. */
export const kubectl = async (...args: readonly string[]): Promise<string> => (await findCluster()).kubectl(...args);

/** Runs kubectl whatever its exit code; with standard input, time limit and so on. */
export const tryKubectl = async (args: readonly string[], options?: RunOptions): Promise<RunResult> =>
  (await findCluster()).kubectl.attempt(args, options);

/** Gives all nodes the images of docker-archive files, in parallel; a node that has an archive's images from it is skipped. Returns what was done. */
export async function loadImageArchives(archives: readonly string[]): Promise<string[]> {
  const { engine, paths } = await findCluster();
  return loadArchives(engine, paths, archives);
}

/** Runs a command on a node, as root, whatever its exit code. */
export async function execOnNode(node: string, argv: readonly string[], options?: RunOptions): Promise<RunResult> {
  const { engine } = await findCluster();
  return engine.tryContainers(["exec", checkNodeName(node), ...argv], options);
}

/** Kills a node's container at once, as a power cut would. */
export const killClusterNode = async (node: string): Promise<void> => killNode(await findCluster(), checkNodeName(node));

/** Starts a killed node's container and waits until the node is ready again. */
export const startClusterNode = async (node: string): Promise<void> => startNode(await findCluster(), checkNodeName(node));
