/** Knative Serving's own manifests as the bench installs them. Pure. */
import { parseAllDocuments } from "yaml";

/** A Kubernetes object as far as it is looked at here. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  data?: Record<string, string>;
  spec?: { template: { spec: Record<string, unknown> } };
}

/** Replicas of its own parts, images fetched ahead and certificates: nothing that is measured needs them. */
const LEFT_OUT = ["HorizontalPodAutoscaler", "PodDisruptionBudget", "Image", "Certificate"];

/** What differs from Knative's defaults, by config map. */
const SETTINGS: Readonly<Record<string, Record<string, string>>> = {
  // No registry has the images of dev.local, nor the bench's, which has no host in its name.
  "config-deployment": { "registries-skipping-tag-resolving": "dev.local,index.docker.io" },
  // The bench keeps everything that answers on one node.
  "config-features": { "kubernetes.podspec-nodeselector": "enabled" },
  // Cold starts of revisions that never had a pod: none has to be waited for to scale down.
  "config-autoscaler": { "allow-zero-initial-scale": "true" },
};

/**
 * The objects of some manifests.
 * @param imageOf gives the image of a program, for which the manifests have its Go package
 * @param node where the programs run
 */
export function knativeObjects(manifests: readonly string[], imageOf: (program: string) => string, node: string): KubernetesObject[] {
  return manifests
    .map((text) => text.replaceAll(/ko:\/\/knative\.dev\/serving\/cmd\/([\w-]+)/g, (_, program: string) => imageOf(program)))
    .flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject | null))
    .filter((object) => object !== null && !LEFT_OUT.includes(object.kind))
    .map((object) => adapted(object as KubernetesObject, node));
}

function adapted(object: KubernetesObject, node: string): KubernetesObject {
  const { kind, metadata, data, spec } = object;
  if (kind === "ConfigMap") return { ...object, data: { ...data, ...SETTINGS[metadata.name] } };
  if (kind !== "Deployment" || spec === undefined) return object;
  // Its own ten minutes are for users' requests, of which there are none when it is removed.
  const changes = { nodeSelector: { "kubernetes.io/hostname": node }, terminationGracePeriodSeconds: 2 };
  return { ...object, spec: { ...spec, template: { ...spec.template, spec: { ...spec.template.spec, ...changes } } } };
}

/** What others are of or in: it is applied before them. */
export const goesFirst = ({ kind }: KubernetesObject): boolean => kind === "CustomResourceDefinition" || kind === "Namespace";
