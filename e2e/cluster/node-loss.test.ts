import { expect, test } from "vitest";
import { endpointsOfLostAddresses } from "./node-loss.ts";

test("an endpoint written under an address that no node has any more is dropped, and no other", () => {
  const endpoint = (name: string, node: string | undefined) => ({
    metadata: { name, namespace: "n" },
    status: { networking: node === undefined ? undefined : { node } },
  });
  const endpoints = { items: [endpoint("stale", "10.89.0.2"), endpoint("good", "10.89.0.4"), endpoint("new", undefined)] };
  expect(endpointsOfLostAddresses(endpoints, ["10.89.0.3", "10.89.0.4"])).toEqual([{ name: "stale", namespace: "n" }]);
});
