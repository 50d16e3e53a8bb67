/**
 * The NetworkPolicies of an account. Policies can only allow, so everything is denied first and "the internet" is
 * every address except those that are not the internet.
 */
import { ALL_IPV4, ALL_IPV6, contains, formatCidr, minimalCidrs, NON_PUBLIC_RANGES, parseCidr } from "../domain/cidr.ts";
import { KappaError } from "../domain/errors.ts";
import { Component, Label, MANAGED_BY, PUBLIC_PLACEMENT } from "./labels.ts";

/** Names of the policies that each account has. */
const PolicyName = {
  defaultDeny: "kappa-default-deny",
  baseEgress: "kappa-base-egress",
  publicEgress: "kappa-public-egress",
} as const;

/** Label that every namespace carries with its own name (Kubernetes, well-known labels). */
const NAMESPACE_NAME = "kubernetes.io/metadata.name";

const DNS_PORT = 53;

/** Where the policies point to in this installation. */
export interface NetworkSettings {
  /** Namespace of the gateways. */
  systemNamespace: string;
  /** Port that agents dial, and port of Lambda's API, both of the gateway's pods. */
  gatewayAgentPort: number;
  gatewayApiPort: number;
  /** Where the cluster's DNS servers are. */
  dns: { namespace: string; podLabels: Record<string, string> };
}

/**
 * What "the internet" leaves out, as CIDRs in canonical, minimal, ascending form: every non-public range and those given.
 * @param clusterAddresses addresses and ranges of nodes, pods, services and the API server, public ones above all
 * @throws KappaError K300 naming the first text that is neither an address nor a range
 */
export function internetExceptions(clusterAddresses: Iterable<string>): string[] {
  const cidrs = [...NON_PUBLIC_RANGES, ...clusterAddresses].map((text) => {
    const cidr = parseCidr(text);
    if (cidr === undefined) throw new KappaError("K300", `"${text}" is neither an IP address nor a CIDR`);
    return cidr;
  });
  return minimalCidrs(cidrs).map(formatCidr);
}

/**
 * All policies of one account.
 * @param exceptions from {@link internetExceptions}
 */
export function accountNetworkPolicies(namespace: string, settings: NetworkSettings, exceptions: readonly string[]) {
  const environments = { [Label.component]: Component.environment };
  const gateway = (port: number) => ({
    to: [
      {
        namespaceSelector: { matchLabels: { [NAMESPACE_NAME]: settings.systemNamespace } },
        podSelector: { matchLabels: { [Label.component]: Component.gateway } },
      },
    ],
    ports: [{ protocol: "TCP", port }],
  });
  const dns = {
    to: [
      {
        namespaceSelector: { matchLabels: { [NAMESPACE_NAME]: settings.dns.namespace } },
        podSelector: { matchLabels: settings.dns.podLabels },
      },
    ],
    ports: [
      { protocol: "UDP", port: DNS_PORT },
      { protocol: "TCP", port: DNS_PORT },
    ],
  };
  const internet = { to: [ALL_IPV4, ALL_IPV6].flatMap((everything) => internetBlock(everything, exceptions)) };
  return [
    policy(namespace, PolicyName.defaultDeny, environments, ["Ingress", "Egress"], []),
    policy(namespace, PolicyName.baseEgress, environments, ["Egress"], [dns, gateway(settings.gatewayAgentPort)]),
    policy(
      namespace,
      PolicyName.publicEgress,
      { ...environments, [Label.placement]: PUBLIC_PLACEMENT },
      ["Egress"],
      [
        // A rule without peers would allow everything, so it is left out with them.
        ...(internet.to.length > 0 ? [internet] : []),
        gateway(settings.gatewayApiPort),
      ],
    ),
  ];
}

/** `except` has to lie strictly inside its block, or the API server refuses the policy; a block that is excepted as a whole is no peer. */
function internetBlock(everything: string, exceptions: readonly string[]) {
  const all = parseCidr(everything);
  const except = exceptions.filter((text) => {
    const cidr = parseCidr(text);
    return all !== undefined && cidr !== undefined && contains(all, cidr);
  });
  return except.includes(everything) ? [] : [{ ipBlock: { cidr: everything, except } }];
}

function policy(namespace: string, name: string, matchLabels: Record<string, string>, policyTypes: string[], egress: object[]) {
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name, namespace, labels: { [Label.managedBy]: MANAGED_BY } },
    // Both lists are sent even when empty: rules that somebody adds by hand are then taken away again.
    spec: { podSelector: { matchLabels }, policyTypes, ingress: [], egress },
  };
}
