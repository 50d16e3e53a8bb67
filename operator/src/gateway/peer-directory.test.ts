import { expect, test } from "vitest";
import { candidatesOf, type EndpointSlice } from "./peer-directory.ts";

const slice = (over: Partial<EndpointSlice>): EndpointSlice => ({
  apiVersion: "discovery.k8s.io/v1",
  kind: "EndpointSlice",
  metadata: { name: "s" },
  ...over,
});
const PORTS = { agents: 8081, peers: 8082 };

test("gateways come from every slice, once each, ready or not", () => {
  const slices = [
    slice({ endpoints: [{ addresses: ["10.0.0.2"], nodeName: "n2", targetRef: { kind: "Pod", name: "b" } }] }),
    slice({
      endpoints: [
        { addresses: ["10.0.0.1"], targetRef: { kind: "Pod", name: "a" } },
        { addresses: ["10.0.0.2"], nodeName: "n2", targetRef: { kind: "Pod", name: "b" } },
      ],
    }),
  ];
  expect(candidatesOf(slices, PORTS)).toEqual([
    { name: "a", host: "10.0.0.1", agentPort: 8081, peerPort: 8082 },
    { name: "b", host: "10.0.0.2", agentPort: 8081, peerPort: 8082, nodeName: "n2" },
  ]);
});

test("ports that the service names are used", () => {
  const named = slice({
    ports: [
      { name: "agents", port: 1 },
      { name: "peers", port: 2 },
    ],
    endpoints: [{ addresses: ["10.0.0.1"], targetRef: { name: "a" } }],
  });
  expect(candidatesOf([named], PORTS)).toMatchObject([{ agentPort: 1, peerPort: 2 }]);
});

test("a slice without endpoints, and an endpoint that is no pod, are passed over", () => {
  expect(
    candidatesOf([slice({ endpoints: null }), slice({ endpoints: [{ addresses: ["10.0.0.1"] }, { targetRef: { name: "x" } }] })], PORTS),
  ).toEqual([]);
});
