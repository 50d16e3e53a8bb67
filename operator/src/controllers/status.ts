/** What every controller's status is made of and written with. */

import type { KappaError } from "../domain/errors.ts";
import type { KubeClient, KubeObject, ResourceRef } from "../kube/index.ts";
import { KubeError } from "../kube/index.ts";

/** Longest text of a reason in Lambda's style, characters (crds). */
export const MAX_REASON = 1024;

/** Something worth telling once: an Event on the object. */
export interface Notice {
  type: "Normal" | "Warning";
  reason: string;
  note: string;
}

/** The Ready condition as a decision gives it. */
export interface Ready {
  status: "True" | "False";
  reason: string;
  message: string;
}

/**
 * Applies the status of this very object, or of none: the UID says which.
 * @returns the whole object as it is now; undefined when it was deleted meanwhile, and nothing is left to be said about it
 */
export async function writeStatus<T extends KubeObject>(
  client: Pick<KubeClient, "apply">,
  resource: ResourceRef,
  of: T,
  status: object,
  fieldManager: string,
): Promise<T | undefined> {
  const intent: KubeObject & { status: object } = { ...identityOf(of), status };
  try {
    const written: KubeObject = await client.apply(resource, intent, { fieldManager, subresource: "status" });
    // What came back is the whole object.
    return written as T;
  } catch (error) {
    if (error instanceof KubeError && error.notFound) return undefined;
    throw error;
  }
}

/** What an applied intent says of which object it is meant for. */
export function identityOf({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, namespace, uid } = metadata;
  return {
    apiVersion,
    kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), ...(uid === undefined ? {} : { uid }) },
  };
}

/** An error as a condition's message tells it: what is wrong, what to do, and its code. */
export function explain(error: KappaError): string {
  const sentence = /[.!?]$/.test(error.message) ? error.message : `${error.message}.`;
  return `${sentence} ${error.entry.remedy} (${error.code})`;
}

/** Lambda's format of a time: `2026-01-31T12:00:00.000+0000`. */
export function lambdaTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace("Z", "+0000");
}

export function cut(text: string, characters: number): string {
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}…`;
}

/** Without the members that are undefined, which `exactOptionalPropertyTypes` tells from absent ones. */
export function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
