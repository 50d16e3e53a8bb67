import { homedir } from "node:os";
import { join } from "node:path";
import { ClusterError } from "./failure.ts";

/** The two ways to run kind. */
export type EngineName = "podman" | "docker";

/** Everything about the cluster that a person may choose, resolved once from the environment. */
export type Settings = {
  /** Undefined: chosen by what the machine has. */
  readonly engine: EngineName | undefined;
  /** Node image for docker; undefined: the one that this version of kind was published with. */
  readonly nodeImage: string | undefined;
  readonly stateDir: string;
  readonly cacheDir: string;
  readonly ports: Ports;
};

/** Ports on the host's loopback. */
export type Ports = {
  readonly api: number;
  readonly gateway: number;
  /** Leads to node port 30090: kept free for a test's own Service. */
  readonly spare: number;
};

/** kind's name of the cluster; its nodes are `kappa-control-plane` and `kappa-worker`. */
export const CLUSTER_NAME = "kappa";
export const CONTROL_PLANE = `${CLUSTER_NAME}-control-plane`;
export const WORKER = `${CLUSTER_NAME}-worker`;
/** Both nodes, the control plane first. */
export const NODES: readonly string[] = [CONTROL_PLANE, WORKER];

/** Reads the KAPPA_ and XDG_ variables. Throws a {@link ClusterError} that names the variable for a value it cannot use. */
export function settingsFrom(env: Readonly<Record<string, string | undefined>>, home = homedir()): Settings {
  const ports = {
    api: port(env, "KAPPA_API_PORT", 16443),
    gateway: port(env, "KAPPA_GATEWAY_PORT", 18080),
    spare: port(env, "KAPPA_SPARE_PORT", 18090),
  };
  if (new Set(Object.values(ports)).size < 3) {
    throw new ClusterError(
      `the same port is chosen twice: ${JSON.stringify(ports)}`,
      "give KAPPA_API_PORT, KAPPA_GATEWAY_PORT and KAPPA_SPARE_PORT different values",
    );
  }
  return {
    engine: engine(env.KAPPA_ENGINE),
    nodeImage: env.KAPPA_NODE_IMAGE || undefined,
    stateDir: join(env.XDG_STATE_HOME || join(home, ".local", "state"), "kappa"),
    cacheDir: join(env.XDG_CACHE_HOME || join(home, ".cache"), "kappa"),
    ports,
  };
}

function engine(value: string | undefined): EngineName | undefined {
  if (value === undefined || value === "") return undefined;
  if (value === "podman" || value === "docker") return value;
  throw new ClusterError(`KAPPA_ENGINE is "${value}"`, "set KAPPA_ENGINE to podman or docker, or unset it to let it be chosen");
}

function port(env: Readonly<Record<string, string | undefined>>, name: string, otherwise: number): number {
  const value = env[name];
  if (value === undefined || value === "") return otherwise;
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1 && number <= 65_535) return number;
  throw new ClusterError(`${name} is "${value}"`, `set ${name} to a port number from 1 to 65535, or unset it for ${otherwise}`);
}
