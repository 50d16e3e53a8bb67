import type { EnvironmentSettings } from "../resources/environment-pod.ts";
import type { PoolSettings } from "./pools/pools.ts";

/** Settings of a gateway, read and checked by `config.ts`. */
export interface GatewayConfig {
  /** Pod name: the gateway's name among its peers. */
  instance: string;
  /** Namespace the gateway runs in, where its headless service is. */
  namespace: string;
  /** Region of every ARN and of the signatures accepted. */
  region: string;
  /** Addresses to listen on. Port 0 takes any free one. */
  listen: {
    /** All interfaces when absent. */
    host?: string;
    /** Lambda's API. */
    api: number;
    /** Agents: WebSocket and packages. */
    agents: number;
    /** Other gateways. */
    peers: number;
  };
  /** Address at which agents and peers reach this gateway, usually the pod's IP. */
  advertisedHost: string;
  /** Name of the headless service whose EndpointSlices list the gateways. */
  agentService: string;
  /** Known to the gateways alone; whoever shows it is one. Credentials of roles are sealed with keys derived from it. */
  peerSecret: string;
  /** Base URL of Lambda's API as functions reach it. */
  lambdaEndpoint: string;
  /** Image of each runtime. */
  images: Readonly<Record<string, string>>;
  /** Policy of environment pods. */
  environment: EnvironmentSettings;
  packageCache: {
    directory: string;
    /** What is kept on disk, least recently used first out. */
    maxBytes: number;
  };
  /** Concurrent executions an account may have in all. Lambda's default is 1,000. */
  accountConcurrency: number;
  /** How long an environment stays without an event. */
  keepAliveMs: number;
  /** How long a new pod may take until its agent connects. */
  startTimeoutMs: number;
  pools: PoolSettings;
}
