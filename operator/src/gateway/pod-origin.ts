/** What a pod was made for, as it says itself. Pure. */
import { Annotation, Label } from "../resources/labels.ts";
import type { EnvironmentFacts, EnvironmentIdentity } from "./environment-facts.ts";
import type { Pod } from "./pod.ts";

/** Which pod it is; absent when it is for no function and no pool. */
export function identityOf({ metadata }: Pod): EnvironmentIdentity | undefined {
  const { namespace, name, uid, annotations } = metadata;
  if (namespace === undefined || uid === undefined) return undefined;
  if (annotations?.[Annotation.assignment] === undefined && annotations?.[Annotation.pool] === undefined) return undefined;
  return { namespace, podName: name, podUid: uid };
}

/** The function that it belongs to, and the pool or the declaration that it was made for. */
export function originOf({ metadata: { annotations = {}, labels } }: Pod): Pick<EnvironmentFacts, "assignmentId" | "pool" | "provisioned"> {
  const pool = annotations[Annotation.pool];
  return {
    assignmentId: annotations[Annotation.assignment],
    provisioned: annotations[Annotation.provisioned],
    pool: pool === undefined ? undefined : { name: pool, hash: labels?.[Label.pool] ?? "", madeBy: annotations[Annotation.madeBy] ?? "" },
  };
}
