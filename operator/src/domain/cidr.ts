/** Ranges of IP addresses, as NetworkPolicies write them: reading, containment and the smallest set that covers the same addresses. */

/** A range of addresses of one family. Host bits are zero. */
export interface Cidr {
  family: 4 | 6;
  /** The first address as a number. */
  base: bigint;
  /** Bits of the prefix, 0–32 or 0–128. */
  length: number;
}

/** The upper 96 bits of an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2). */
const IPV4_MAPPED = 0xffffn;

/** Everything of each family. */
export const ALL_IPV4 = "0.0.0.0/0";
export const ALL_IPV6 = "::/0";

/**
 * Ranges that are not the internet, and so never reachable from the public placement: this host, private networks, carrier-grade
 * NAT, link-local (with the metadata services of every cloud), loopback, benchmarking, multicast and reserved; of IPv6 also the
 * forms that stand for IPv4 addresses, which would be a way around. From IANA's special-purpose registries (RFC 6890).
 */
export const NON_PUBLIC_RANGES: readonly string[] = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "::/96",
  "64:ff9b::/96",
  "64:ff9b:1::/48",
  "2002::/16",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
];

/**
 * Reads `10.0.0.0/8`, `fd00::/8` or a single address, which becomes a range of one. Undefined when it is none of these. IPv6 forms
 * of IPv4 addresses (`::ffff:10.0.0.1`) are read as what they stand for: that is what is dialled, and Kubernetes takes no other.
 */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bits = address.family === 4 ? 32 : 128;
  const written = slash < 0 ? String(bits) : text.slice(slash + 1);
  const length = Number(written);
  if (!/^\d{1,3}$/.test(written) || length > bits) return undefined;
  const hostBits = BigInt(bits - length);
  const cidr: Cidr = { family: address.family, base: (address.value >> hostBits) << hostBits, length };
  return cidr.base >> 32n === IPV4_MAPPED && length >= 96 ? { family: 4, base: cidr.base & 0xffff_ffffn, length: length - 96 } : cidr;
}

/** The canonical text of a range: `10.0.0.0/8`, or for IPv6 without leading zeros and with the longest run of zeros left out (RFC 5952). */
export function formatCidr(cidr: Cidr): string {
  if (cidr.family === 4) {
    const octets = [24n, 16n, 8n, 0n].map((shift) => (cidr.base >> shift) & 0xffn);
    return `${octets.join(".")}/${cidr.length}`;
  }
  const groups = Array.from({ length: 8 }, (_, index) => ((cidr.base >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  return `${compressed(groups)}/${cidr.length}`;
}

/** Whether every address of `inner` is one of `outer`. */
export function contains(outer: Cidr, inner: Cidr): boolean {
  if (outer.family !== inner.family || outer.length > inner.length) return false;
  const hostBits = BigInt((outer.family === 4 ? 32 : 128) - outer.length);
  return outer.base >> hostBits === inner.base >> hostBits;
}

/**
 * The fewest ranges that hold the same addresses, in ascending order, IPv4 first: what is inside another one is left out and two
 * halves become one. The same set of addresses always gives the same list, whatever it was given as.
 */
export function minimalCidrs(cidrs: readonly Cidr[]): Cidr[] {
  const kept: Cidr[] = [];
  for (const cidr of cidrs.toSorted(compare)) {
    const last = kept.at(-1);
    if (last !== undefined && contains(last, cidr)) continue;
    kept.push(cidr);
    mergeHalves(kept);
  }
  return kept;
}

/** Merges the last two ranges into the one they are the halves of, as often as that is so. */
function mergeHalves(kept: Cidr[]): void {
  for (;;) {
    const upper = kept.at(-1);
    const lower = kept.at(-2);
    if (upper === undefined || lower === undefined || upper.length !== lower.length || upper.length === 0) return;
    const whole = { family: lower.family, base: lower.base, length: lower.length - 1 };
    const hostBits = BigInt((whole.family === 4 ? 32 : 128) - whole.length);
    if ((whole.base >> hostBits) << hostBits !== whole.base || !contains(whole, upper)) return;
    kept.splice(-2, 2, whole);
  }
}

function compare(a: Cidr, b: Cidr): number {
  if (a.family !== b.family) return a.family - b.family;
  if (a.base !== b.base) return a.base < b.base ? -1 : 1;
  return a.length - b.length;
}

function parseAddress(text: string): { family: 4 | 6; value: bigint } | undefined {
  const four = parseIpv4(text);
  if (four !== undefined) return { family: 4, value: four };
  const six = parseIpv6(text);
  return six === undefined ? undefined : { family: 6, value: six };
}

/** Dotted decimal only: octal and shortened forms mean different addresses to different readers. */
function parseIpv4(text: string): bigint | undefined {
  const octets = text.split(".");
  if (octets.length !== 4) return undefined;
  let value = 0n;
  for (const octet of octets) {
    if (!/^(0|[1-9]\d{0,2})$/.test(octet) || Number(octet) > 255) return undefined;
    value = (value << 8n) | BigInt(octet);
  }
  return value;
}

function parseIpv6(text: string): bigint | undefined {
  // The last 32 bits may be written as an IPv4 address (RFC 4291 §2.2.3).
  const colon = text.lastIndexOf(":");
  const four = parseIpv4(text.slice(colon + 1));
  const plain = four === undefined ? text : `${text.slice(0, colon + 1)}${(four >> 16n).toString(16)}:${(four & 0xffffn).toString(16)}`;
  const halves = plain.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array<string>(missing).fill("0"), ...tail]) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return value;
}

function compressed(groups: readonly string[]): string {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === "0") length++;
    if (length > best.length) best = { start, length };
  }
  if (best.length < 2) return groups.join(":");
  return `${groups.slice(0, best.start).join(":")}::${groups.slice(best.start + best.length).join(":")}`;
}
