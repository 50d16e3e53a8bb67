/** What a namespace needs to be an account, or to stop being one. Pure. */
import { chooseAccountId, isAccountId } from "../../domain/account-id.ts";
import { type KubeObject, type ResourceRef, Resources } from "../../kube/index.ts";
import { Annotation, Label, MANAGED_BY } from "../../resources/labels.ts";
import type { AccountView } from "../functions/decide.ts";
import { matches } from "../matches.ts";

/** A Namespace, as far as accounts care. */
export interface NamespaceObject extends KubeObject {
  status?: { phase?: string };
}

/** One object that an account has: as it should be and as it is. */
export interface AccountObject {
  resource: ResourceRef;
  desired: KubeObject;
  actual?: KubeObject | undefined;
}

export interface AccountObservation {
  namespace: NamespaceObject;
  /** What the account has, in the order in which it is made. */
  objects: readonly AccountObject[];
  /** Environment pods that are still there. */
  pods: readonly KubeObject[];
  /** When the last one went that was seen to go, epoch milliseconds. */
  podGoneAt: number;
  /** Epoch milliseconds. */
  now: number;
  /** Whether a namespace other than this one has the id, or is about to get it. */
  idTaken: (id: string) => boolean;
  /** Whether a namespace that is older than this one has the id. */
  idOfOlder: (id: string) => boolean;
}

/** One write, in the order in which they are to be made. */
export type AccountStep =
  | { type: "apply"; resource: ResourceRef; object: KubeObject }
  | { type: "delete"; resource: ResourceRef; object: KubeObject }
  | { type: "giveId"; accountId: string }
  | { type: "tellEmptied"; accountId: string; at: string };

export interface AccountDecision {
  steps: AccountStep[];
  /** Objects that exist under a name of ours and are somebody else's. */
  notOwned: KubeObject[];
}

/** How a namespace looks to its functions. */
export function accountOf(namespace: NamespaceObject | undefined): AccountView {
  if (namespace === undefined || !isEnabled(namespace) || isTerminating(namespace)) return { enabled: false };
  const accountId = namespace.metadata.annotations?.[Annotation.accountId];
  return isAccountId(accountId) ? { enabled: true, accountId } : { enabled: true };
}

/** Whether the namespace is going away, with everything in it: nobody makes anything in it any more. */
export function isTerminating(namespace: NamespaceObject | undefined): boolean {
  return namespace?.metadata.deletionTimestamp !== undefined || namespace?.status?.phase === "Terminating";
}

/** Decides the next steps towards what the namespace's label asks for. */
export function decideAccount(observation: AccountObservation): AccountDecision {
  const { namespace } = observation;
  if (isTerminating(namespace)) return { steps: leave(observation), notOwned: [] };
  return isEnabled(namespace) ? enable(observation) : disable(observation);
}

/**
 * Kubernetes deletes a namespace's pods first. While there are some it looks again after half of their grace period, which is long since
 * events may be; a change of the namespace has it look five seconds later (kubernetes/kubernetes, pkg/controller/namespace).
 */
function leave({ namespace, pods, podGoneAt, now }: AccountObservation): AccountStep[] {
  const { [Annotation.accountId]: accountId, [Annotation.emptiedAt]: told = "" } = namespace.metadata.annotations ?? {};
  if (pods.length > 0 || accountId === undefined || Date.parse(told) >= podGoneAt) return [];
  return [{ type: "tellEmptied", accountId, at: new Date(now).toISOString() }];
}

function enable({ namespace, objects, idTaken, idOfOlder }: AccountObservation): AccountDecision {
  const notOwned = objects.flatMap(({ actual }) => (actual && !isOurs(actual) ? [actual] : []));
  const steps = objects
    // Without its isolation an account gets no gateway: a foreign object under the name of a policy may not be one.
    .filter(({ resource }) => notOwned.length === 0 || resource.kind !== Resources.roleBinding.kind)
    .flatMap(stepsTowards);
  const id = namespace.metadata.annotations?.[Annotation.accountId];
  // Of two namespaces with one id, as a copied manifest makes them, the older one keeps it.
  if (notOwned.length === 0 && (!isAccountId(id) || idOfOlder(id)))
    steps.push({ type: "giveId", accountId: chooseAccountId(namespace.metadata.uid ?? "", idTaken) });
  return { steps, notOwned };
}

function stepsTowards({ resource, desired, actual }: AccountObject): AccountStep[] {
  const apply: AccountStep = { type: "apply", resource, object: desired };
  if (actual === undefined) return [apply];
  if (!isOurs(actual) || matches(desired, actual)) return [];
  // The role of a binding cannot be changed (RBAC, "roleRef"): it is made anew.
  const sameRole = matches(part(desired, "roleRef"), part(actual, "roleRef"));
  return sameRole ? [apply] : [{ type: "delete", resource, object: actual }, apply];
}

function disable({ objects, pods }: AccountObservation): AccountDecision {
  const ours = objects.flatMap(({ resource, actual }) =>
    actual && isOurs(actual) ? [{ type: "delete" as const, resource, object: actual }] : [],
  );
  if (ours.length === 0) return { steps: [], notOwned: [] };
  const isBinding = (step: { resource: ResourceRef }) => step.resource.kind === Resources.roleBinding.kind;
  const running = pods.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const steps: AccountStep[] = [
    // First the gateway's right to make pods, then the pods; their isolation stays as long as any of them runs.
    ...ours.filter(isBinding),
    ...running.map((object) => ({ type: "delete" as const, resource: Resources.pod, object })),
    ...(pods.length === 0 ? ours.filter((step) => !isBinding(step)) : []),
  ];
  return { steps, notOwned: [] };
}

function isEnabled(namespace: NamespaceObject): boolean {
  return namespace.metadata.labels?.[Label.enabled] === "true";
}

function isOurs(object: KubeObject): boolean {
  return object.metadata.labels?.[Label.managedBy] === MANAGED_BY;
}

function part(object: KubeObject, member: string): unknown {
  return (object as KubeObject & Record<string, unknown>)[member];
}
