import { expect, test } from "vitest";
import { canonicalImageName, missingImages } from "./load.ts";

test.each([
  ["busybox", "docker.io/library/busybox"],
  ["kappa/operator:1", "docker.io/kappa/operator:1"],
  ["localhost/kappa/operator:1", "localhost/kappa/operator:1"],
  ["example.org/a/b:1", "example.org/a/b:1"],
  ["host:5000/a:1", "host:5000/a:1"],
])("containerd knows %s as %s", (name, canonical) => {
  expect(canonicalImageName(name)).toBe(canonical);
});

test("only what a node lacks is missing", () => {
  const listed = "docker.io/kappa/operator:1\nsha256:abc\n";
  expect(missingImages(["kappa/operator:1", "localhost/kappa/nats:2"], listed)).toEqual(["localhost/kappa/nats:2"]);
});
