import { CLUSTER_NAME, type Ports } from "./settings.ts";

/** Node ports that lead from the host's loopback into the cluster (see {@link Ports}). */
export const GATEWAY_NODE_PORT = 30080;
const SPARE_NODE_PORT = 30090;

/** A file or folder of the machine that a node sees. */
type Mount = { readonly hostPath: string; readonly containerPath: string; readonly readOnly?: boolean };

/** What kind's configuration depends on. */
export type KindInput = {
  readonly ports: Ports;
  /** Undefined: the published image that this kind belongs to, with its own CNI. */
  readonly image: string | undefined;
  /** Whether the nodes' containerd makes cgroups by itself instead of asking systemd. */
  readonly cgroupfs: boolean;
  readonly auditPolicyFile: string;
  readonly auditFolder: string;
  /** A folder that all nodes share with the machine: image archives are handed over in it. */
  readonly exchangeFolder: string;
  /** Archives that containerd imports when the node starts. */
  readonly archives: { readonly controlPlane: readonly string[]; readonly everyNode: readonly string[] };
};

const AUDIT_POLICY = "/kappa/audit-policy.json";
const AUDIT_FOLDER = "/var/log/kubernetes/audit";
/** Where the nodes see {@link KindInput.exchangeFolder}. */
export const EXCHANGE_IN_NODE = "/kappa/exchange";

/** Everything that Kappa's identities ask for, everything asked about Kappa's resources, and every write, without bodies. */
export const AUDIT_POLICY_DOCUMENT = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { level: "Metadata", userGroups: ["system:serviceaccounts:kappa-system"] },
    { level: "Metadata", resources: [{ group: "kappa.dev" }] },
    { level: "Metadata", verbs: ["create", "update", "patch", "delete", "deletecollection"] },
    { level: "None" },
  ],
};

/** The Cluster document for `kind create cluster --config` (JSON is YAML too). */
export function kindConfiguration(input: KindInput): string {
  const { ports, image } = input;
  const ownNodeImage = image !== undefined && input.archives.everyNode.length > 0;
  const archive = (file: string): Mount => ({ hostPath: file, containerPath: `/kappa/images/${file.split("/").at(-1)}`, readOnly: true });
  const exchange: Mount = { hostPath: input.exchangeFolder, containerPath: EXCHANGE_IN_NODE, readOnly: true };
  const node = (role: string, extra: object) => ({ role, ...(image && { image }), ...extra });
  const loopback = (hostPort: number, containerPort: number) => ({ hostPort, containerPort, listenAddress: "127.0.0.1", protocol: "TCP" });
  return JSON.stringify(
    {
      kind: "Cluster",
      apiVersion: "kind.x-k8s.io/v1alpha4",
      name: CLUSTER_NAME,
      // Without a published image there is no CNI in it: Cilium follows.
      networking: { apiServerAddress: "127.0.0.1", apiServerPort: ports.api, disableDefaultCNI: ownNodeImage },
      nodes: [
        node("control-plane", {
          extraPortMappings: [loopback(ports.gateway, GATEWAY_NODE_PORT), loopback(ports.spare, SPARE_NODE_PORT)],
          extraMounts: [
            exchange,
            { hostPath: input.auditPolicyFile, containerPath: AUDIT_POLICY, readOnly: true },
            { hostPath: input.auditFolder, containerPath: AUDIT_FOLDER },
            ...[...input.archives.controlPlane, ...input.archives.everyNode].map(archive),
          ],
        }),
        node("worker", { extraMounts: [exchange, ...input.archives.everyNode.map(archive)] }),
      ],
      kubeadmConfigPatches: kubeadmPatches(input.cgroupfs).map((patch) => JSON.stringify(patch)),
    },
    undefined,
    2,
  );
}

const KUBEADM = "kubeadm.k8s.io/v1beta4";

function kubeadmPatches(cgroupfs: boolean): object[] {
  return [
    {
      kind: "ClusterConfiguration",
      apiVersion: KUBEADM,
      apiServer: {
        extraArgs: args({
          "audit-policy-file": AUDIT_POLICY,
          "audit-log-path": `${AUDIT_FOLDER}/audit.log`,
          "audit-log-maxsize": "100",
          "audit-log-maxbackup": "4",
          // A lost node's pods are replaced after these many seconds instead of 300: tests of node loss do not wait for five minutes.
          "default-not-ready-toleration-seconds": "10",
          "default-unreachable-toleration-seconds": "10",
        }),
        extraVolumes: [
          { name: "audit-policy", hostPath: AUDIT_POLICY, mountPath: AUDIT_POLICY, readOnly: true, pathType: "File" },
          { name: "audit", hostPath: AUDIT_FOLDER, mountPath: AUDIT_FOLDER, readOnly: false, pathType: "DirectoryOrCreate" },
        ],
      },
      // Four missed renewals of the lease below.
      controllerManager: { extraArgs: args({ "node-monitor-grace-period": "20s", "node-monitor-period": "2s" }) },
    },
    // Workloads run on both nodes.
    { kind: "InitConfiguration", apiVersion: KUBEADM, nodeRegistration: { taints: [] } },
    {
      kind: "KubeletConfiguration",
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      failCgroupV1: false,
      ...(cgroupfs && { cgroupDriver: "cgroupfs" }),
      // Lowering it needs CAP_SYS_RESOURCE.
      oomScoreAdj: 0,
      serializeImagePulls: false,
      maxPods: 200,
      // Lambda's 1,024 processes and threads of one environment, and 64 for the agent's threads and the pod's own process.
      podPidsLimit: 1024 + 64,
      // A function of little memory waits for the rest of a period once it has used its share of one: of 10 ms, not of 100.
      featureGates: { CustomCPUCFSQuotaPeriod: true },
      cpuCFSQuotaPeriod: "10ms",
      // How often volumes are measured, 1m by default: a test that fills /tmp does not wait a minute until its pod is evicted.
      volumeStatsAggPeriod: "15s",
      // Renewed every quarter of it.
      nodeLeaseDurationSeconds: 20,
    },
  ];
}

const args = (values: Readonly<Record<string, string>>) => Object.entries(values).map(([name, value]) => ({ name, value }));
