/** The agent's settings: read from the process environment once, by main.ts. */
import { KappaError } from "../../../operator/src/domain/errors.ts";
import { WITHOUT_GATEWAY_MS } from "./limits.ts";

export interface Settings {
  /** Name or address under which gateways are found; every address it has is a gateway. */
  gatewayHost: string;
  gatewayPort: number;
  /** `host:port` of gateways to dial before the name is resolved; they may be gone by now. */
  gatewayAddresses: readonly string[];
  /** Runtime identifier, such as `python3.11`. */
  runtime: string;
  podName: string;
  podNamespace: string;
  /** File with the projected token; read again before each connection. */
  tokenFile: string;
  /** Folder for the execution role's Kubernetes token. */
  roleFolder: string;
  /** The function's working directory, where its package is. */
  taskRoot: string;
  /** Where the package is unpacked: the same folder, under a name by which it can be written. */
  unpackRoot: string;
  /** Largest file that the function may write: all of its `/tmp`. */
  maxFileBytes: number;
  /** Folder for the archive while it is unpacked. */
  tmp: string;
  /** Folder of the runtime; its `bootstrap` is started. */
  runtimeRoot: string;
  /** Port of the Runtime API on loopback; 0 takes a free one. */
  runtimeApiPort: number;
  /** Where the container's cgroup is mounted. */
  cgroupRoot: string;
  /** Variables that the function sees too: without them Kubernetes' clients do not know that they are in a cluster. */
  inherited: Readonly<Record<string, string>>;
  /** Whether the pod belongs to a pool: it has no function yet. */
  pooled: boolean;
  /**
   * Absent where the runtime is not to be started before it has a function. For which memorySize, MiB, where its heap is fixed when
   * its process starts; 0 for others.
   */
  zygoteHeapMb: number | undefined;
  /** Milliseconds without any gateway after which an idle agent exits. */
  withoutGatewayMs: number;
}

const INHERITED = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"] as const;

/** @throws KappaError K300 naming every variable that is missing or not valid */
export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const problems: string[] = [];
  const text = (name: string, fallback?: string): string => {
    const value = env[name] || fallback;
    if (value === undefined) problems.push(`${name} is not set`);
    return value ?? "";
  };
  const integer = (name: string, min: number, max: number, fallback?: number): number => {
    const value = env[name] || (fallback === undefined ? undefined : String(fallback));
    if (value === undefined) problems.push(`${name} is not set`);
    else if (!/^\d{1,9}$/.test(value) || Number(value) < min || Number(value) > max)
      problems.push(`${name} is ${JSON.stringify(value)}, not a whole number from ${min} to ${max}`);
    return Number(value);
  };
  const addresses = (name: string): string[] => {
    const list = (env[name] ?? "").split(",").filter((address) => address !== "");
    const wrong = list.find((address) => !/^(\[[0-9a-f:.]+\]|[\w.-]+):\d{1,5}$/i.test(address));
    if (wrong !== undefined) problems.push(`${name} has ${JSON.stringify(wrong)}, which is not host:port`);
    return list;
  };
  const settings: Settings = {
    gatewayHost: text("KAPPA_GATEWAY_HOST"),
    gatewayPort: integer("KAPPA_GATEWAY_PORT", 1, 65_535),
    gatewayAddresses: addresses("KAPPA_GATEWAY_ADDRESSES"),
    runtime: text("KAPPA_RUNTIME"),
    podName: text("POD_NAME"),
    podNamespace: text("POD_NAMESPACE"),
    tokenFile: text("KAPPA_TOKEN_FILE", "/var/run/secrets/kappa.dev/gateway/token"),
    roleFolder: text("KAPPA_ROLE_FOLDER", "/var/run/secrets/kubernetes.io/serviceaccount"),
    taskRoot: text("KAPPA_TASK_ROOT", "/var/task"),
    unpackRoot: text("KAPPA_UNPACK_ROOT", env.KAPPA_TASK_ROOT || "/var/task"),
    maxFileBytes: integer("KAPPA_EPHEMERAL_STORAGE_MB", 1, 10_240, 512) * 1024 * 1024,
    tmp: text("KAPPA_TMP", "/tmp"),
    runtimeRoot: text("KAPPA_RUNTIME_ROOT", "/var/runtime"),
    runtimeApiPort: integer("KAPPA_RUNTIME_API_PORT", 0, 65_535, 9001),
    cgroupRoot: text("KAPPA_CGROUP_ROOT", "/sys/fs/cgroup"),
    inherited: Object.fromEntries(
      INHERITED.flatMap((name) => {
        const value = env[name];
        return value ? [[name, value]] : [];
      }),
    ),
    pooled: integer("KAPPA_POOLED", 0, 1, 0) === 1,
    zygoteHeapMb: env.KAPPA_ZYGOTE_HEAP_MB ? integer("KAPPA_ZYGOTE_HEAP_MB", 0, 10_240) : undefined,
    withoutGatewayMs: integer("KAPPA_WITHOUT_GATEWAY_MS", 1, 86_400_000, WITHOUT_GATEWAY_MS),
  };
  if (problems.length > 0) throw new KappaError("K300", `${problems.join("; ")}. The environment pod sets these for its agent.`);
  return settings;
}
