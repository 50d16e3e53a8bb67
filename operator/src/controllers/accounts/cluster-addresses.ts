/** Addresses of the cluster itself, which the public placement must not reach. Pure. */
import { parseCidr } from "../../domain/cidr.ts";
import type { KubeObject } from "../../kube/index.ts";

/** A Node, as far as its addresses go. */
export interface NodeObject extends KubeObject {
  spec?: { podCIDRs?: string[] };
  status?: { addresses?: { type: string; address: string }[] };
}

/** An EndpointSlice of the API server's Service. */
export interface EndpointSliceObject extends KubeObject {
  endpoints?: { addresses: string[] }[] | null;
}

/** Every address and range of nodes, their pods and the API server; what is no address, such as a host name, is left out. */
export function clusterAddresses(nodes: readonly NodeObject[], apiServer: readonly EndpointSliceObject[]): string[] {
  const all = [
    ...nodes.flatMap((node) => [...(node.status?.addresses ?? []).map(({ address }) => address), ...(node.spec?.podCIDRs ?? [])]),
    ...apiServer.flatMap((slice) => (slice.endpoints ?? []).flatMap(({ addresses }) => addresses)),
  ];
  return all.filter((text) => parseCidr(text) !== undefined);
}
