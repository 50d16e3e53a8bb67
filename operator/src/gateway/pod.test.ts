import { expect, test } from "vitest";
import { Annotation } from "../resources/labels.ts";
import { trimPod } from "./pod.ts";

test("of a pod's annotations and labels only its assignment is kept: they may be large, and are written by whoever makes the pod", () => {
  const annotations = { [Annotation.assignment]: "uid/$LATEST/1", note: "x".repeat(200_000) };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p", namespace: "team", uid: "u", annotations, labels: { a: "b" } } };
  expect(trimPod(pod).metadata).toEqual({
    name: "p",
    namespace: "team",
    uid: "u",
    annotations: { [Annotation.assignment]: "uid/$LATEST/1" },
  });
});
