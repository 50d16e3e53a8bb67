import { expect, test } from "vitest";
import { clusterAddresses } from "./cluster-addresses.ts";

test("the cluster's addresses are those of nodes, their pods and the API server, and never a host name", () => {
  const node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n1" },
    spec: { podCIDRs: ["10.244.1.0/24"] },
    status: {
      addresses: [
        { type: "InternalIP", address: "172.18.0.3" },
        { type: "ExternalIP", address: "198.51.100.3" },
        { type: "Hostname", address: "n1" },
        { type: "ExternalDNS", address: "n1.example" },
      ],
    },
  };
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "kubernetes" },
    endpoints: [{ addresses: ["203.0.113.9"] }],
  };
  const empty = { ...slice, endpoints: null };
  expect(clusterAddresses([node], [slice, empty])).toEqual(["172.18.0.3", "198.51.100.3", "10.244.1.0/24", "203.0.113.9"]);
});
