import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contains, formatCidr, parseCidr } from "../domain/cidr.ts";
import { accountNetworkPolicies, internetExceptions, type NetworkSettings } from "./network-policies.ts";

const settings: NetworkSettings = {
  systemNamespace: "kappa-system",
  gatewayAgentPort: 8081,
  gatewayApiPort: 8080,
  dns: { namespace: "kube-system", podLabels: { "k8s-app": "kube-dns" } },
};
const build = (addresses: string[] = []) => {
  const [deny, base, open] = accountNetworkPolicies("team", settings, internetExceptions(addresses));
  if (!deny || !base || !open) throw new Error("three policies expected");
  return { deny, base, open };
};
const blocks = (addresses: string[] = []) =>
  build(addresses)
    .open.spec.egress.flatMap((rule) => ("to" in rule ? (rule.to as { ipBlock?: { cidr: string; except: string[] } }[]) : []))
    .flatMap((peer) => peer.ipBlock ?? []);

/** Whether the public placement's policy lets a packet to this address through by its blocks, as NetworkPolicy defines it. */
function reaches(address: string, addresses: string[]): boolean {
  const target = parseCidr(address);
  const holds = (range: string): boolean => {
    const cidr = parseCidr(range);
    return target !== undefined && cidr !== undefined && contains(cidr, target);
  };
  return blocks(addresses).some((block) => holds(block.cidr) && !block.except.some(holds));
}

describe("accountNetworkPolicies", () => {
  test("deny environments everything first", () => {
    expect(build().deny.spec).toEqual({
      podSelector: { matchLabels: { "kappa.dev/component": "environment" } },
      policyTypes: ["Ingress", "Egress"],
      ingress: [],
      egress: [],
    });
  });

  test("allow every environment DNS and the gateway's agent port, by pod and not by address", () => {
    expect(build().base.spec.egress).toEqual([
      {
        to: [
          {
            namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kube-system" } },
            podSelector: { matchLabels: { "k8s-app": "kube-dns" } },
          },
        ],
        ports: [
          { protocol: "UDP", port: 53 },
          { protocol: "TCP", port: 53 },
        ],
      },
      {
        to: [
          {
            namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "kappa-system" } },
            podSelector: { matchLabels: { "kappa.dev/component": "gateway" } },
          },
        ],
        ports: [{ protocol: "TCP", port: 8081 }],
      },
    ]);
  });

  test("allow the internet and Lambda's API to the public placement only", () => {
    expect(build().open.spec.podSelector.matchLabels).toEqual({ "kappa.dev/component": "environment", "kappa.dev/placement": "public" });
    expect(build().open.spec.egress.at(-1)).toMatchObject({ ports: [{ protocol: "TCP", port: 8080 }] });
  });

  test("reach public addresses, of both families", () => {
    expect(reaches("203.0.113.10", [])).toBe(true);
    expect(reaches("2606:4700::1111", [])).toBe(true);
  });

  test.each(["10.96.0.1", "172.18.0.2", "192.168.0.1", "169.254.169.254", "127.0.0.1", "fd00::1", "fe80::1"])(
    "do not reach %s",
    (address) => {
      expect(reaches(address, [])).toBe(false);
    },
  );

  test("do not reach nodes or the API server with public addresses", () => {
    const cluster = ["198.51.100.7", "2001:db8::7", "203.0.113.128/25"];
    expect(reaches("198.51.100.7", cluster)).toBe(false);
    expect(reaches("198.51.100.8", cluster)).toBe(true);
    expect(reaches("2001:db8::7", cluster)).toBe(false);
    expect(reaches("203.0.113.200", cluster)).toBe(false);
    expect(reaches("203.0.113.10", cluster)).toBe(true);
  });

  test("have no internet peer of a family that is excepted as a whole, instead of an invalid or an open rule", () => {
    expect(blocks(["::/0"]).map((block) => block.cidr)).toEqual(["0.0.0.0/0"]);
    const none = build(["::/0", "0.0.0.0/0"]).open.spec.egress;
    expect(none).toHaveLength(1);
    expect(JSON.stringify(none)).not.toContain("ipBlock");
  });

  test("are the same for the same addresses in any order, and every exception lies strictly inside its block", () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(fc.array(address, { maxLength: 20 }), (addresses) => {
        expect(accountNetworkPolicies("team", settings, internetExceptions(addresses.toReversed()))).toEqual(
          accountNetworkPolicies("team", settings, internetExceptions(addresses)),
        );
        for (const block of blocks(addresses)) {
          const outer = parseCidr(block.cidr);
          for (const text of block.except) {
            const inner = parseCidr(text);
            expect(inner && formatCidr(inner)).toBe(text);
            expect(outer && inner && contains(outer, inner) && inner.length > outer.length).toBe(true);
          }
        }
      }),
    );
  });

  test("name the address that is none", () => {
    expect(() => internetExceptions(["10.0.0.0/40"])).toThrow('"10.0.0.0/40" is neither an IP address nor a CIDR');
  });
});
