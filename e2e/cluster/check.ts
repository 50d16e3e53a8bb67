import type { Cluster } from "./cluster.ts";
import { CILIUM_IMAGE } from "./images/images.ts";
import { PRIVATE_ADDRESS, PUBLIC_RANGE, ZONE } from "./internet/addresses.ts";
import { waitFor } from "./run.ts";
import { CONTROL_PLANE, type EngineName, WORKER } from "./settings.ts";

const NAMESPACE = "kappa-cluster-check";
const SERVER_PORT = 8080;

/** A client needs a shell: Cilium's image is on the nodes already, and with docker there is a registry. */
const clientImage = (engine: EngineName) =>
  engine === "podman" ? { image: CILIUM_IMAGE, imagePullPolicy: "Never" } : { image: "busybox", imagePullPolicy: "IfNotPresent" };

/** Succeeds when a TCP connection to $1 port $2 opens within two seconds, after the name was resolved. */
const CONNECT = `if command -v bash >/dev/null; then exec timeout 2 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$1" "$2"; else exec nc -z -w 2 "$1" "$2"; fi`;

function pods(engine: EngineName, serverImage: string): object[] {
  const pod = (name: string, nodeName: string, container: object, more: object = {}) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: NAMESPACE, labels: { name } },
    spec: { nodeName, terminationGracePeriodSeconds: 0, containers: [{ name: "main", ...container }], ...more },
  });
  const client = { ...clientImage(engine), command: ["sleep", "3600"] };
  // CoreDNS with its health plugin is an HTTP server that every cluster has.
  const server = {
    image: serverImage,
    imagePullPolicy: "IfNotPresent",
    args: ["-conf", "/config/Corefile"],
    volumeMounts: [{ name: "config", mountPath: "/config" }],
  };
  return [
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "server", namespace: NAMESPACE },
      data: { Corefile: `.:5353 {\n  health :${SERVER_PORT}\n}\n` },
    },
    pod("server", WORKER, server, { volumes: [{ name: "config", configMap: { name: "server" } }] }),
    pod("allowed", CONTROL_PLANE, client),
    pod("denied", CONTROL_PLANE, client),
  ];
}

function policies(): object[] {
  const policy = (name: string, spec: object) => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, namespace: NAMESPACE },
    spec,
  });
  const labelled = (name: string) => ({ podSelector: { matchLabels: { name } } });
  return [
    policy("default-deny", { podSelector: {}, policyTypes: ["Ingress", "Egress"] }),
    policy("allowed", {
      ...labelled("allowed"),
      policyTypes: ["Egress"],
      egress: [
        { to: [{ ipBlock: { cidr: PUBLIC_RANGE } }] },
        {
          to: [{ namespaceSelector: {}, podSelector: { matchLabels: { "k8s-app": "kube-dns" } } }],
          ports: [{ protocol: "UDP", port: 53 }],
        },
        { to: [labelled("server")] },
      ],
    }),
    policy("server", { ...labelled("server"), policyTypes: ["Ingress"], ingress: [{ from: [labelled("allowed")] }] }),
  ];
}

/** Proves in a namespace of its own that policies decide who reaches a pod on the other node, and the internet. Takes about half a minute. */
export async function checkEnforcement({
  kubectl,
  engine,
}: Pick<Cluster, "kubectl" | "engine">): Promise<{ lines: string[]; ok: boolean }> {
  const remove = (wait: boolean) => kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", `--wait=${wait}`);
  await remove(true);
  try {
    const serverImage = await kubectl(
      "get",
      "deployment/coredns",
      "--namespace=kube-system",
      "--output=jsonpath={.spec.template.spec.containers[0].image}",
    );
    await kubectl.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } }]);
    await kubectl("wait", "--for=create", "--timeout=30s", "serviceaccount/default", `--namespace=${NAMESPACE}`);
    await kubectl.apply(pods(engine.name, serverImage));
    await kubectl("wait", "--for=condition=Ready", "--timeout=120s", "pod", "--all", `--namespace=${NAMESPACE}`);
    const server = await kubectl("get", "pod/server", `--namespace=${NAMESPACE}`, "--output=jsonpath={.status.podIP}");
    const lines: string[] = [];
    let ok = true;
    const expect = async (what: string, from: string, host: string, port: number, reached: boolean) => {
      const argv = ["exec", from, `--namespace=${NAMESPACE}`, "--", "sh", "-c", CONNECT, "sh", host, String(port)];
      const probe = async () => ((await kubectl.attempt(argv, { timeoutMs: 30_000 })).exitCode === 0) === reached || undefined;
      // A new policy takes a moment to reach both nodes.
      const held = await waitFor(what, 20_000, probe).catch(() => false);
      ok &&= held;
      lines.push(`${held ? "ok    " : "FAILED"} ${what}`);
    };
    await expect("without policy: a pod on the other node is reached", "denied", server, SERVER_PORT, true);
    await expect(`without policy: www.${ZONE} is reached`, "denied", `www.${ZONE}`, 80, true);
    await kubectl.apply(policies());
    await expect("default deny: a pod on the other node is not reached", "denied", server, SERVER_PORT, false);
    await expect(`default deny: www.${ZONE} is not reached`, "denied", `www.${ZONE}`, 80, false);
    await expect("allowed: the pod on the other node is reached", "allowed", server, SERVER_PORT, true);
    await expect(`allowed: www.${ZONE} is reached`, "allowed", `www.${ZONE}`, 80, true);
    await expect("allowed is no more than that: a private address is not reached", "allowed", PRIVATE_ADDRESS, 80, false);
    return { lines, ok };
  } finally {
    await remove(false);
  }
}
