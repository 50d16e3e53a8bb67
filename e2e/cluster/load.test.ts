import { expect, test } from "vitest";
import { namesOnNode } from "./load.ts";

const LISTED = "example.org/kappa/operator:1\nlocalhost/kappa/nats:2\nsha256:abc\n";

test.each([
  ["localhost/kappa/nats:2", ["localhost/kappa/nats:2"]],
  // containerd puts the default registry in front of a name without a host.
  ["kappa/operator:1", ["example.org/kappa/operator:1"]],
  ["kappa/operator:2", []],
  ["operator:1", ["example.org/kappa/operator:1"]],
])("%s is on the node as %j", (name, there) => {
  expect(namesOnNode(name, LISTED)).toEqual(there);
});
