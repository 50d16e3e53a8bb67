import type { NetworkSettings } from "../resources/network-policies.ts";

/** Settings of the controller, read and checked by `config.ts`. */
export interface ControllerConfig {
  /** Pod name: who holds the Lease. */
  instance: string;
  /** Namespace of Kappa's own processes, where the Lease is. */
  namespace: string;
  /** Region of every ARN. */
  region: string;
  /** Functions and accounts worked on at the same time, each. */
  workers: number;
  /** Runtimes that this installation has images for. */
  runtimes: readonly string[];
  /** ServiceAccount of the gateways, in {@link ControllerConfig.namespace}. */
  gatewayServiceAccount: string;
  /** Ranges of pods and services, and whatever else "the internet" is to leave out. */
  clusterCidrs: readonly string[];
  /** Ranges that packages may be downloaded from although they are not public. */
  urlAllowCidrs: readonly string[];
  /** Where the NetworkPolicies point to. */
  network: Omit<NetworkSettings, "systemNamespace">;
}
