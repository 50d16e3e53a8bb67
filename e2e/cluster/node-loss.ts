import { z } from "zod";
import type { Cluster } from "./cluster.ts";
import type { Kubectl } from "./kubectl.ts";
import { waitFor } from "./run.ts";

/** Kills a node's container with all in it at once, as a power cut would. Kubernetes notices after the grace period (20 s). */
export async function killNode({ engine }: Cluster, node: string): Promise<void> {
  await engine.containers(["kill", "--signal", "KILL", node]);
}

/**
 * Starts a killed node's container and waits until Kubernetes calls the node ready and its system pods run. Its address may be another one than
 * before: kind's entrypoint puts the new one in where the old one was.
 */
export async function startNode({ engine, kubectl }: Cluster, node: string): Promise<void> {
  const started = new Date();
  await engine.containers(["start", node]);
  // Ready by an old report counts for nothing: the lease must have been renewed since, by the new kubelet.
  await waitFor(`node ${node}`, 180_000, async () => {
    const lease = await kubectl.attempt(["get", "lease", node, "--namespace=kube-node-lease", "--output=jsonpath={.spec.renewTime}"], {
      timeoutMs: 10_000,
    });
    return lease.exitCode === 0 && new Date(lease.stdout) > started ? true : undefined;
  });
  await kubectl("wait", "--for=condition=Ready", "--timeout=180s", `node/${node}`);
  if (engine.name === "podman") await dropEndpointsOfLostAddresses(kubectl);
  // Only what belongs to the node: Deployments' pods may have been given up meanwhile, and are deleted now.
  for (const app of engine.name === "podman" ? ["kube-proxy", "cilium"] : ["kube-proxy"]) {
    await kubectl(
      "wait",
      "--for=condition=Ready",
      "--timeout=180s",
      "pod",
      "--namespace=kube-system",
      `--selector=k8s-app=${app}`,
      `--field-selector=spec.nodeName=${node}`,
    );
  }
}

const Endpoints = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), namespace: z.string() }),
      status: z.object({ networking: z.object({ node: z.string().optional() }).optional() }).optional(),
    }),
  ),
});

/** A CiliumEndpoint that was written under an address that no node has (pure): its agent takes it for another node's. */
export function endpointsOfLostAddresses(
  endpoints: z.infer<typeof Endpoints>,
  nodeAddresses: readonly string[],
): { name: string; namespace: string }[] {
  return endpoints.items.flatMap(({ metadata, status }) => {
    const node = status?.networking?.node;
    return node === undefined || nodeAddresses.includes(node) ? [] : [metadata];
  });
}

/**
 * Removes what Cilium's operator, which does not run here, would collect: endpoints that their own agent refuses to update because its node's
 * address is a new one. Their pods would be strangers to every policy. The agent writes them again.
 */
async function dropEndpointsOfLostAddresses(kubectl: Kubectl): Promise<void> {
  const addresses = await kubectl("get", "nodes", '--output=jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}');
  const endpoints = Endpoints.parse(JSON.parse(await kubectl("get", "ciliumendpoints", "--all-namespaces", "--output=json")));
  for (const { name, namespace } of endpointsOfLostAddresses(endpoints, addresses.split(" "))) {
    await kubectl("delete", "ciliumendpoint", name, `--namespace=${namespace}`, "--ignore-not-found");
  }
}
