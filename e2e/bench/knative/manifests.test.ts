import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { goesFirst, knativeObjects } from "./manifests.ts";
import { imageOf, VERSION } from "./parts.ts";

const MANIFEST = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: activator, namespace: knative-serving }
spec:
  replicas: 1
  template:
    spec:
      containers: [{ name: activator, image: ko://knative.dev/serving/cmd/activator }]
---
apiVersion: v1
kind: ConfigMap
metadata: { name: config-deployment, namespace: knative-serving }
data: { queue-sidecar-image: ko://knative.dev/serving/cmd/queue }
---
# Nothing but a comment.
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: activator }
---
apiVersion: v1
kind: Namespace
metadata: { name: knative-serving }
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: { name: webhook.serving.knative.dev }
`;
const objects = knativeObjects([MANIFEST], imageOf, "worker");
const kinds = (list: readonly { kind: string }[]) => list.map(({ kind }) => kind);

test("Go packages in manifests become images, and programs run on the bench's node", () => {
  expect(objects[0]?.spec).toMatchObject({
    replicas: 1,
    template: { spec: { nodeSelector: { "kubernetes.io/hostname": "worker" }, containers: [{ image: imageOf("activator") }] } },
  });
});

test("config maps keep what they have and get the bench's settings", () => {
  expect(objects[1]?.data).toEqual({
    "queue-sidecar-image": imageOf("queue"),
    "registries-skipping-tag-resolving": "dev.local,index.docker.io",
  });
});

test("what nothing needs is left out, and namespaces are applied first", () => {
  expect(kinds(objects.filter(goesFirst))).toEqual(["Namespace"]);
  expect(kinds(objects.filter((object) => !goesFirst(object)))).toEqual(["Deployment", "ConfigMap", "MutatingWebhookConfiguration"]);
});

test("the module of the version that the images are named by is what is built", () => {
  const pins = readFileSync(new URL("go.mod", import.meta.url), "utf8");
  expect(pins).toContain(`knative.dev/serving ${VERSION} `);
});
