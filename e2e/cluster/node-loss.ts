import type { Cluster } from "./cluster.ts";
import { waitFor } from "./run.ts";

/** Kills a node's container with all in it at once, as a power cut would. Kubernetes notices after the grace period (20 s). */
export async function killNode({ engine }: Cluster, node: string): Promise<void> {
  await engine.containers(["kill", "--signal", "KILL", node]);
}

/**
 * Starts a killed node's container and waits until Kubernetes calls it ready, which includes that its kubelet has reported since. Its address may
 * be another one than before: kind's entrypoint puts the new one in where the old one was.
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
}
