/** Which gateways an agent dials, and when again. Pure. */
import { crypto } from "../builtins.ts";

/**
 * At most `most` of the addresses. When there are more, each agent takes those that rank highest for its own name, so that
 * agents spread evenly and one gateway more or less moves few of them (rendezvous hashing).
 */
export function chooseGateways(podName: string, addresses: Iterable<string>, most: number): string[] {
  const distinct = [...new Set(addresses)].sort();
  if (distinct.length <= most) return distinct;
  return distinct
    .map((address) => ({ address, rank: crypto.createHash("sha256").update(`${podName}\n${address}`).digest("hex") }))
    .sort((a, b) => (a.rank < b.rank ? 1 : -1))
    .slice(0, most)
    .map(({ address }) => address);
}

/** Milliseconds before attempt `attempt` (1, 2, …) is followed by another: doubled each time, between half and all of it. */
export function redialPause(attempt: number, limits: { firstMs: number; maxMs: number }, random: () => number): number {
  const full = Math.min(limits.maxMs, limits.firstMs * 2 ** (attempt - 1));
  return full * (0.5 + random() / 2);
}

/** `host:port`, with the brackets that an IPv6 address needs in a URL. */
export function hostPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
