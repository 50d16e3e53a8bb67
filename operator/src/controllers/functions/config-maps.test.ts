import { expect, test } from "vitest";
import { type ConfigMapObject, onlyVersion } from "./config-maps.ts";

test("of a ConfigMap nothing is kept but its version, however much is in it", () => {
  const large: ConfigMapObject = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "c", namespace: "team", uid: "u", resourceVersion: "7", annotations: { note: "x".repeat(200_000) } },
    data: { text: "y".repeat(500_000) },
    binaryData: { zip: "z".repeat(500_000) },
  };
  expect(onlyVersion(large)).toEqual({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "c", namespace: "team", uid: "u", resourceVersion: "7" },
  });
});
