/** The local internet's zone. Its names: `www` (the HTTP server), `ns` (the name server). */
export const ZONE = "internet.test";

/** Documentation range TEST-NET-3 (RFC 5737): public as far as any rule can tell, and never a real host. */
export const PUBLIC_RANGE = "203.0.113.0/24";
export const WEB_ADDRESS = "203.0.113.10";
export const DNS_ADDRESS = "203.0.113.53";

/** What a function in the public placement must not reach though it answers: a private network behind the cluster, and cloud metadata. */
export const PRIVATE_RANGE = "10.99.0.0/24";
export const PRIVATE_ADDRESS = "10.99.0.10";
export const METADATA_ADDRESS = "169.254.169.254";

/** The wire between the cluster's side and the internet's (TEST-NET-1). */
export const CLUSTER_SIDE = "192.0.2.1";
export const INTERNET_SIDE = "192.0.2.2";

/** The zone file (RFC 1035) of {@link ZONE}. */
export const zoneFile = () => `$ORIGIN ${ZONE}.
$TTL 5
@ IN SOA ns hostmaster 1 60 60 600 5
@ IN NS ns
ns IN A ${DNS_ADDRESS}
www IN A ${WEB_ADDRESS}
private IN A ${PRIVATE_ADDRESS}
metadata IN A ${METADATA_ADDRESS}
`;

/**
 * CoreDNS' configuration: the zone, and "no such name" for everything else instead of a search that would time out. Two server blocks, because
 * within one the template plugin comes before the file plugin.
 */
export const internetCorefile = (zonePath: string) => `${ZONE}:53 {
  bind ${DNS_ADDRESS}
  file ${zonePath}
  errors
}
.:53 {
  bind ${DNS_ADDRESS}
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`;
