import { expect, test } from "vitest";
import { Annotation } from "../resources/labels.ts";
import { podCondition, trimPod } from "./pod.ts";

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

test.each([
  ["runs", { phase: "Running" }, { ended: "running" }],
  [
    "was killed for its memory",
    { phase: "Running", containerStatuses: [ended("OOMKilled", 137)] },
    { ended: "ended", overuse: { of: "memory" } },
  ],
  ["ended by itself after a process in it was killed", { phase: "Failed", containerStatuses: [ended("OOMKilled", 1)] }, { ended: "ended" }],
  ["has ended, and nothing says why yet", { phase: "Running", containerStatuses: [ended("Error", 137)] }, { ended: "running" }],
  [
    "was evicted for its /tmp",
    { phase: "Failed", reason: "Evicted", message: 'Usage of EmptyDir volume "tmp" exceeds the limit "10Gi". ' },
    { ended: "ended", overuse: { of: "tmp", limit: "10Gi" } },
  ],
  [
    "was evicted for its node",
    { phase: "Failed", reason: "Evicted", message: "The node had condition: [DiskPressure]. " },
    { ended: "ended" },
  ],
  [
    "says what kubelets say, but was not evicted",
    { phase: "Failed", message: 'Usage of EmptyDir volume "tmp" exceeds the limit "1Gi". ' },
    { ended: "ended" },
  ],
])("a pod that %s", (_, status, expected) => {
  const { ended, overuse } = podCondition(trimPod({ apiVersion: "v1", kind: "Pod", metadata: { name: "p" }, status }));
  expect({ ended, ...(overuse && { overuse }) }).toEqual(expected);
});

function ended(reason: string, exitCode: number) {
  return { name: "environment", state: { terminated: { reason, exitCode } } };
}
