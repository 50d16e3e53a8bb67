import type { KubeObject } from "../kube/index.ts";

/** Whether `a` was made before `b`. Times are whole seconds, so of two made in one second the smaller UID counts as older: always the same one. */
export function isOlder(a: KubeObject, b: KubeObject): boolean {
  const [atA = "", atB = ""] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  return atA === atB ? (a.metadata.uid ?? "") < (b.metadata.uid ?? "") : atA < atB;
}

/** The one that was made first, if there is any. */
export function oldest<T extends KubeObject>(objects: readonly T[]): T | undefined {
  return objects.reduce<T | undefined>((first, object) => (first !== undefined && isOlder(first, object) ? first : object), undefined);
}
