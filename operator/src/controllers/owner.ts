/** Versions and aliases belong to their function: they go when it goes, by Kubernetes' own garbage collection. Pure. */
import type { KubeObject, OwnerReference } from "../kube/index.ts";

/** The reference that an object of this function has. blockOwnerDeletion would need the right to set finalizers, and buys nothing. */
export function ownedBy(fn: KubeObject): OwnerReference {
  const { name, uid = "" } = fn.metadata;
  return { apiVersion: fn.apiVersion, kind: fn.kind, name, uid, controller: true, blockOwnerDeletion: false };
}

/** Whether an object has no function yet, or none any more, as after a deletion that left it behind (`--cascade=orphan`). */
export function isUnowned(object: KubeObject): boolean {
  return ownerOf(object) === undefined;
}

/**
 * Whether an object belongs to a function that is gone although another one has its name now. Kubernetes is about to remove it; to give
 * it to the new function would bring it back from the dead.
 */
export function belongsToAnother(object: KubeObject, fn: KubeObject | undefined): boolean {
  const owner = ownerOf(object);
  return owner !== undefined && fn !== undefined && owner.uid !== fn.metadata.uid;
}

function ownerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find(({ kind }) => kind === "Function");
}
