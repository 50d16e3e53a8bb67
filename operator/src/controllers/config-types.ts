import type { EnvironmentSettings } from "../resources/environment-pod.ts";
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
  /** Image of each runtime that this installation has. */
  images: Readonly<Record<string, string>>;
  /** Policy of environment pods. */
  environment: EnvironmentSettings;
  /** Concurrent executions an account may have in all. */
  accountConcurrency: number;
  /** ServiceAccount of the gateways, in {@link ControllerConfig.namespace}. */
  gatewayServiceAccount: string;
  /** Ranges of pods and services, and whatever else "the internet" is to leave out. */
  clusterCidrs: readonly string[];
  /** Ranges that packages may be downloaded from although they are not public. */
  urlAllowCidrs: readonly string[];
  /** Where the NetworkPolicies point to. */
  network: Omit<NetworkSettings, "systemNamespace">;
}
