/** The part of Kubernetes' ObjectMeta that Kappa reads or writes. Source: meta/v1 of the Kubernetes API reference. */
export interface ObjectMeta {
  name: string;
  /** Absent on cluster-scoped objects. */
  namespace?: string;
  /** Prefix of a name that the API server completes, where `name` is left out of a new object. */
  generateName?: string;
  /** Given by the API server, unique for ever. */
  uid?: string;
  resourceVersion?: string;
  /** Counts changes of `spec`. */
  generation?: number;
  /** RFC 3339, seconds. */
  creationTimestamp?: string;
  /** RFC 3339, seconds; set while the object is being deleted. */
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  /** Who applied which field; opaque here. */
  managedFields?: unknown[];
}

/** Who an object is deleted with. */
export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}
