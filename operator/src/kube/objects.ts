import type { ObjectMeta } from "../api/object-meta.ts";
import { API_VERSION } from "../resources/labels.ts";

export type { ObjectMeta, OwnerReference } from "../api/object-meta.ts";

/** Any object of the Kubernetes API. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** Which collection of the API an object lives in. */
export interface ResourceRef {
  apiVersion: string;
  kind: string;
  plural: string;
  namespaced: boolean;
}

const namespaced = (apiVersion: string, kind: string, plural: string): ResourceRef => ({ apiVersion, kind, plural, namespaced: true });
const clusterWide = (apiVersion: string, kind: string, plural: string): ResourceRef => ({ apiVersion, kind, plural, namespaced: false });

/** Every resource that Kappa touches. */
export const Resources = {
  function: namespaced(API_VERSION, "Function", "functions"),
  version: namespaced(API_VERSION, "Version", "versions"),
  alias: namespaced(API_VERSION, "Alias", "aliases"),
  eventSourceMapping: namespaced(API_VERSION, "EventSourceMapping", "eventsourcemappings"),
  layerVersion: namespaced(API_VERSION, "LayerVersion", "layerversions"),
  vpc: namespaced(API_VERSION, "Vpc", "vpcs"),
  pod: namespaced("v1", "Pod", "pods"),
  namespace: clusterWide("v1", "Namespace", "namespaces"),
  node: clusterWide("v1", "Node", "nodes"),
  secret: namespaced("v1", "Secret", "secrets"),
  configMap: namespaced("v1", "ConfigMap", "configmaps"),
  serviceAccount: namespaced("v1", "ServiceAccount", "serviceaccounts"),
  roleBinding: namespaced("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
  networkPolicy: namespaced("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
  endpointSlice: namespaced("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
  event: namespaced("events.k8s.io/v1", "Event", "events"),
  lease: namespaced("coordination.k8s.io/v1", "Lease", "leases"),
} as const satisfies Record<string, ResourceRef>;

/** Where an object is: its namespace (none for cluster-wide kinds) and name. */
export interface ObjectRef {
  namespace?: string | undefined;
  name: string;
}

/** Key of an object in caches and queues: `namespace/name`, or `name` for cluster-wide kinds. */
export function objectKey(ref: ObjectRef): string {
  return ref.namespace ? `${ref.namespace}/${ref.name}` : ref.name;
}

/** Reverse of {@link objectKey}. */
export function parseKey(key: string): ObjectRef {
  const slash = key.indexOf("/");
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Path of a collection, of one object or of its subresource. Names are escaped: they may come from outside. */
export function resourcePath(resource: ResourceRef, ref: { namespace?: string | undefined; name?: string; subresource?: string }): string {
  const root = resource.apiVersion.includes("/") ? "/apis" : "/api";
  const parts = [root, resource.apiVersion];
  if (ref.namespace !== undefined && resource.namespaced) parts.push("namespaces", encodeURIComponent(ref.namespace));
  parts.push(resource.plural);
  if (ref.name !== undefined) parts.push(encodeURIComponent(ref.name));
  if (ref.subresource !== undefined) parts.push(ref.subresource);
  return parts.join("/");
}
