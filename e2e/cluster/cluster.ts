import { join } from "node:path";
import type { Engine } from "./engine.ts";
import { engineOf } from "./engines.ts";
import { ClusterError } from "./failure.ts";
import { whatDoesNotRun } from "./health.ts";
import { type Kubectl, kubectlOf } from "./kubectl.ts";
import { type Paths, pathsOf } from "./paths.ts";
import { CONTROL_PLANE, NODES, type Settings, settingsFrom } from "./settings.ts";
import { currentBoot, readState, type State } from "./state.ts";

/** The cluster as it was recorded, whichever checkout made it. */
export type Cluster = {
  readonly settings: Settings;
  readonly paths: Paths;
  readonly state: State;
  readonly engine: Engine;
  readonly kubectl: Kubectl;
};

/** Finds the cluster. Throws a {@link ClusterError} when `up` has not come to its end here since the machine was started. */
export async function findCluster(env: Readonly<Record<string, string | undefined>> = process.env): Promise<Cluster> {
  const settings = settingsFrom(env);
  const paths = pathsOf(settings);
  const state = await readState(paths.stateDir);
  const absence = await whyAbsent(state);
  if (state === undefined || absence !== undefined)
    throw new ClusterError(`the cluster is not up: ${absence ?? "there is none"}`, "run `make up`");
  // The ports that it was made with count, whatever the environment says now.
  return { settings: { ...settings, ports: state.ports }, paths, state, engine: engineOf(state, paths), kubectl: kubectlOf(paths) };
}

async function whyAbsent(state: State | undefined): Promise<string | undefined> {
  if (state === undefined) return "there is none";
  if (state.bootId !== (await currentBoot())) return "the machine was started again since it was made";
  return state.complete ? undefined : "its creation was interrupted";
}

/** A node: its name, its address in the nodes' network (undefined while its container is stopped), and its part. */
export type NodeInfo = { readonly name: string; readonly address: string | undefined; readonly role: "control-plane" | "worker" };

/** The nodes as the engine knows them. */
async function nodesOf({ engine }: Pick<Cluster, "engine">): Promise<NodeInfo[]> {
  const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
  return Promise.all(
    NODES.map(async (name) => {
      const address = (await engine.tryContainers(["inspect", "--format", format, name])).stdout.trim().split(" ")[0];
      return { name, address: address || undefined, role: name === CONTROL_PLANE ? ("control-plane" as const) : ("worker" as const) };
    }),
  );
}

/** Throws unless a name is a node's. */
export function checkNodeName(name: string | undefined): string {
  if (name !== undefined && NODES.includes(name)) return name;
  throw new ClusterError(`"${name ?? ""}" is no node`, `name one of ${NODES.join(", ")}`);
}

/** Text for a person: what runs, where, and what is wrong with it. */
export async function describeCluster(cluster: Cluster): Promise<{ text: string; healthy: boolean }> {
  const { state, paths, engine } = cluster;
  const broken = await whatDoesNotRun(state, () => engine, paths);
  const nodes = await nodesOf(cluster);
  const lines = [
    `cluster     ${broken === undefined ? "runs and is whole" : `broken: ${broken}`}`,
    `engine      ${engine.name}${state.capsule ? `, in the namespaces of process ${state.capsule.init.pid} (nsenter --target ${state.capsule.init.pid} --mount --net --pid --cgroup)` : ""}`,
    ...nodes.map((node) => `node        ${node.name} ${node.address ?? "stopped"}`),
    `API server  https://127.0.0.1:${state.ports.api} (KUBECONFIG=${paths.kubeconfig})`,
    `gateway     http://127.0.0.1:${state.ports.gateway}`,
    `audit log   ${paths.auditLog}`,
    `logs        ${paths.logs}`,
    `programs    ${join(paths.bin)}`,
  ];
  return { text: lines.join("\n"), healthy: broken === undefined };
}
