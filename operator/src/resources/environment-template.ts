/** What all pods of environments have in common, of a function or of a pool. */
import { TOKEN_AUDIENCE } from "../api/environment-protocol.ts";
import type { OwnerReference } from "../api/object-meta.ts";
import type { EffectiveConfiguration } from "../domain/effective.ts";
import { KappaError } from "../domain/errors.ts";
import { Component, ENVIRONMENT_SERVICE_ACCOUNT, Label, MANAGED_BY } from "./labels.ts";

/** User and group of everything in an environment; Lambda's own sandbox user has this id too. */
const ENVIRONMENT_UID = 993;

/** Seconds between SIGTERM and SIGKILL: the longest time-out (900 s), so that no event is cut off, and the shutdown phase after it. */
const TERMINATION_GRACE_SECONDS = 930;

/** Room for unpacked code and for layers, each. 250 MiB is the limit of the content; blocks and inodes come on top. */
const CODE_VOLUME_LIMIT = "512Mi";

/** Where the agent finds its token, and how long one is valid; the kubelet renews it at 80 %. */
const TOKEN_FOLDER = "/var/run/secrets/kappa.dev/gateway";
const TOKEN_SECONDS = 3600;

/**
 * Where Kubernetes' clients look for a ServiceAccount (kubernetes.io/docs/tasks/run-application/access-api-from-pod). The agent writes
 * the execution role's token there, the kubelet nothing.
 */
const ROLE_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Where the agent can write the two volumes with a function's code. The function sees them as Lambda has them, on a read-only file
 * system; the agent cannot make that of a folder, which belongs to root.
 */
const WRITABLE = { task: "/kappa/volumes/task", opt: "/kappa/volumes/opt" } as const;

/** Name of the one container. */
export const ENVIRONMENT_CONTAINER = "environment";

/** Kubernetes' name of each of Lambda's architectures (label `kubernetes.io/arch`). */
const NODE_ARCHITECTURE = { x86_64: "amd64", arm64: "arm64" } as const;

/** Policy of an installation for its environment pods. */
export interface EnvironmentSettings {
  /** What part of its limits a pod requests, each 0–1: below 1 nodes are overcommitted. */
  overcommit: { memory: number; cpu: number };
  /** Added to the function's own share, so that a small function does not pay for the agent. */
  agentAllowance: { memoryMb: number; cpuMillis: number };
  /** Where agents dial. */
  gateway: { host: string; port: number };
  imagePullPolicy: "Always" | "IfNotPresent" | "Never";
  /** Sandbox for every environment, such as gVisor or Kata. */
  runtimeClassName?: string;
  priorityClassName?: string;
  nodeSelector?: Record<string, string>;
  tolerations?: Toleration[];
  /** Keys of node labels over which a function's environments are spread, as evenly as room allows. */
  topologyKeys?: string[];
}

interface Toleration {
  key?: string;
  operator?: "Exists" | "Equal";
  value?: string;
  effect?: "NoSchedule" | "PreferNoSchedule" | "NoExecute";
  tolerationSeconds?: number;
}

/** What every environment's pod is made from. */
export interface CommonInput {
  /** Makes the name unique: lower-case letters and digits. */
  suffix: string;
  /** Image of each runtime. */
  images: Readonly<Record<string, string>>;
  settings: EnvironmentSettings;
  /**
   * `host:port` of the gateways to dial first. The agent finds them by name as well, but a lost node may have taken the cluster's DNS
   * along.
   */
  gatewayAddresses?: readonly string[];
  /** Names of nodes that the pod must not run on. */
  avoidNodes?: readonly string[];
}

/** CPU and memory of a container, as Kubernetes writes them. */
export interface Resources {
  limits: { memory: string; cpu: string };
  requests: { memory: string; cpu: string };
}

interface Particulars {
  name: string;
  namespace: string;
  runtime: string;
  architecture: EffectiveConfiguration["architectures"][number];
  ephemeralStorageMb: number;
  resources: Resources;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  ownerReferences?: OwnerReference[];
  env?: { name: string; value: string }[];
  /** Label of the pods that it is spread with. */
  siblings: Record<string, string>;
  readinessGates?: { conditionType: string }[];
}

/**
 * The pod of an environment.
 * @throws KappaError K114 when there is no image for the runtime
 */
export function environmentTemplate(input: CommonInput, of: Particulars) {
  const { settings } = input;
  const image = runtimeImage(of.runtime, input.images);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: of.name,
      namespace: of.namespace,
      labels: {
        [Label.component]: Component.environment,
        [Label.runtime]: of.runtime,
        [Label.managedBy]: MANAGED_BY,
        ...of.labels,
      },
      annotations: of.annotations,
      ...(of.ownerReferences === undefined ? {} : { ownerReferences: of.ownerReferences }),
    },
    spec: {
      restartPolicy: "Never",
      serviceAccountName: ENVIRONMENT_SERVICE_ACCOUNT,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: TERMINATION_GRACE_SECONDS,
      // Kubernetes' five would have every full name looked up under each search domain first.
      dnsConfig: { options: [{ name: "ndots", value: "1" }] },
      // A package may hold native code, so the node's architecture is part of the function's configuration.
      nodeSelector: { "kubernetes.io/arch": NODE_ARCHITECTURE[of.architecture], ...settings.nodeSelector },
      ...(of.readinessGates === undefined ? {} : { readinessGates: of.readinessGates }),
      ...(settings.tolerations === undefined ? {} : { tolerations: settings.tolerations }),
      ...(settings.runtimeClassName === undefined ? {} : { runtimeClassName: settings.runtimeClassName }),
      ...(settings.priorityClassName === undefined ? {} : { priorityClassName: settings.priorityClassName }),
      ...avoiding(input.avoidNodes ?? []),
      ...spreading(settings.topologyKeys ?? [], of.siblings),
      securityContext: {
        runAsNonRoot: true,
        runAsUser: ENVIRONMENT_UID,
        runAsGroup: ENVIRONMENT_UID,
        fsGroup: ENVIRONMENT_UID,
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          name: ENVIRONMENT_CONTAINER,
          image,
          imagePullPolicy: settings.imagePullPolicy,
          env: [
            { name: "KAPPA_GATEWAY_HOST", value: settings.gateway.host },
            { name: "KAPPA_GATEWAY_PORT", value: String(settings.gateway.port) },
            { name: "KAPPA_GATEWAY_ADDRESSES", value: (input.gatewayAddresses ?? []).join(",") },
            { name: "KAPPA_RUNTIME", value: of.runtime },
            { name: "KAPPA_UNPACK_ROOT", value: WRITABLE.task },
            { name: "KAPPA_EPHEMERAL_STORAGE_MB", value: String(of.ephemeralStorageMb) },
            { name: "POD_NAME", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } } },
            { name: "POD_NAMESPACE", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.namespace" } } },
            ...(of.env ?? []),
          ],
          resources: of.resources,
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
          volumeMounts: [
            { name: "tmp", mountPath: "/tmp" },
            { name: "task", mountPath: "/var/task", readOnly: true },
            { name: "task", mountPath: WRITABLE.task },
            { name: "opt", mountPath: "/opt", readOnly: true },
            { name: "opt", mountPath: WRITABLE.opt },
            { name: "token", mountPath: TOKEN_FOLDER, readOnly: true },
            { name: "role", mountPath: ROLE_FOLDER },
          ],
        },
      ],
      volumes: [
        { name: "tmp", emptyDir: { sizeLimit: `${of.ephemeralStorageMb}Mi` } },
        { name: "task", emptyDir: { sizeLimit: CODE_VOLUME_LIMIT } },
        { name: "opt", emptyDir: { sizeLimit: CODE_VOLUME_LIMIT } },
        // In memory: a token does not belong on a node's disk.
        { name: "role", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
        {
          name: "token",
          projected: { sources: [{ serviceAccountToken: { audience: TOKEN_AUDIENCE, expirationSeconds: TOKEN_SECONDS, path: "token" } }] },
        },
      ],
    },
  };
}

/**
 * The image that runs a runtime.
 * @throws KappaError K114, naming the runtimes there are
 */
function runtimeImage(runtime: string, images: Readonly<Record<string, string>>): string {
  const image = Object.hasOwn(images, runtime) ? images[runtime] : undefined;
  if (image === undefined) {
    const known = Object.keys(images).toSorted().join(", ");
    throw new KappaError("K114", `Runtime ${runtime} is not installed. Installed runtimes: ${known === "" ? "none" : known}`);
  }
  return image;
}

function avoiding(nodes: readonly string[]) {
  if (nodes.length === 0) return {};
  // By the node's name, not its hostname label, which may differ; a field selector takes one value each.
  const matchFields = [...new Set(nodes)].toSorted().map((node) => ({ key: "metadata.name", operator: "NotIn", values: [node] }));
  return { affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchFields }] } } } };
}

function spreading(topologyKeys: readonly string[], siblings: Record<string, string>) {
  if (topologyKeys.length === 0) return {};
  return {
    topologySpreadConstraints: topologyKeys.map((topologyKey) => ({
      maxSkew: 1,
      topologyKey,
      whenUnsatisfiable: "ScheduleAnyway",
      labelSelector: { matchLabels: { [Label.component]: Component.environment, ...siblings } },
    })),
  };
}
