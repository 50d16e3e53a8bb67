import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { type KubeObject, Resources } from "../kube/objects.ts";
import { Reflector } from "../kube/reflector.ts";
import type { Logger } from "../telemetry/log.ts";

/** A gateway that may be there. Whether it lives, the connection to it says. */
export interface PeerCandidate {
  /** Pod name, unique. */
  name: string;
  host: string;
  peerPort: number;
  agentPort: number;
  nodeName?: string;
}

/** Where the gateways are listed. */
export interface PeerDirectory {
  start(): void;
  stop(): Promise<void>;
  /** Resolves when the list is complete for the first time. */
  synced(): Promise<void>;
  candidates(): PeerCandidate[];
  subscribe(changed: () => void): void;
}

/** The part of an EndpointSlice that is read (discovery.k8s.io/v1). */
export interface EndpointSlice extends KubeObject {
  ports?: { name?: string; port?: number }[] | null;
  endpoints?: { addresses?: string[]; nodeName?: string; targetRef?: { kind?: string; name?: string } }[] | null;
}

/** Ports that hold where a slice does not name its own. */
export interface DefaultPorts {
  agents: number;
  peers: number;
}

/** The gateways in the slices of a service, each once, by name. Endpoints that are not ready count: their connection decides. */
export function candidatesOf(slices: Iterable<EndpointSlice>, defaults: DefaultPorts): PeerCandidate[] {
  const found = new Map<string, PeerCandidate>();
  for (const { ports, endpoints } of slices) {
    const port = (name: string) => ports?.find((p) => p.name === name)?.port;
    for (const { addresses, nodeName, targetRef } of endpoints ?? []) {
      const host = addresses?.[0];
      const name = targetRef?.name;
      if (host === undefined || name === undefined) continue;
      found.set(name, {
        name,
        host,
        peerPort: port("peers") ?? defaults.peers,
        agentPort: port("agents") ?? defaults.agents,
        ...(nodeName === undefined ? {} : { nodeName }),
      });
    }
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export interface EndpointSliceDirectoryOptions {
  client: KubeClient;
  namespace: string;
  service: string;
  ports: DefaultPorts;
  clock: Clock;
  log: Logger;
}

/** Lists the gateways from the EndpointSlices of their headless service. */
export class EndpointSliceDirectory implements PeerDirectory {
  readonly #slices: Reflector<EndpointSlice>;
  readonly #ports: DefaultPorts;

  constructor({ client, namespace, service, ports, clock, log }: EndpointSliceDirectoryOptions) {
    this.#ports = ports;
    this.#slices = new Reflector<EndpointSlice>(client, {
      resource: Resources.endpointSlice,
      namespace,
      labelSelector: `kubernetes.io/service-name=${service}`,
      clock,
      onError: (err) => log.warn({ err, service }, "the other gateways cannot be listed; trying again"),
    });
  }

  start(): void {
    this.#slices.start();
  }

  stop(): Promise<void> {
    return this.#slices.stop();
  }

  synced(): Promise<void> {
    return this.#slices.synced();
  }

  candidates(): PeerCandidate[] {
    return candidatesOf(this.#slices.list(), this.#ports);
  }

  subscribe(changed: () => void): void {
    this.#slices.subscribe(changed);
  }
}
