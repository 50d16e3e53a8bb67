import type { KubeObject } from "../kube/objects.ts";
import { Annotation, Label } from "../resources/labels.ts";

/** The part of a Pod that the gateway reads. */
export interface Pod extends KubeObject {
  spec?: { nodeName?: string };
  status?: {
    phase?: string;
    /** Of a pod that its kubelet ended: `Evicted`. */
    reason?: string;
    message?: string;
    /** When the node's kubelet took note of the pod. */
    startTime?: string;
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
    containerStatuses?: {
      name: string;
      state?: {
        waiting?: { reason?: string; message?: string };
        running?: { startedAt?: string };
        terminated?: { reason?: string; exitCode?: number };
      };
    }[];
  };
}

const ANNOTATIONS: ReadonlySet<string> = new Set([Annotation.assignment, Annotation.pool, Annotation.madeBy, Annotation.provisioned]);
const CONDITIONS: ReadonlySet<string> = new Set(["PodScheduled", "PodResizePending", "PodResizeInProgress"]);

/** What is kept of a pod in memory. */
export function trimPod({ apiVersion, kind, metadata, spec, status }: Pod): Pod {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, annotations, labels } = metadata;
  const kept = Object.entries(annotations ?? {}).filter(([name]) => ANNOTATIONS.has(name));
  const pool = labels?.[Label.pool];
  const { phase, reason, message, startTime, conditions, containerStatuses } = status ?? {};
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      ...(kept.length === 0 ? {} : { annotations: Object.fromEntries(kept) }),
      ...(pool === undefined ? {} : { labels: { [Label.pool]: pool } }),
    },
    ...(spec?.nodeName === undefined ? {} : { spec: { nodeName: spec.nodeName } }),
    status: {
      ...(phase === undefined ? {} : { phase }),
      ...(reason === undefined ? {} : { reason }),
      ...(message === undefined ? {} : { message }),
      ...(startTime === undefined ? {} : { startTime }),
      ...(conditions === undefined ? {} : { conditions: conditions.filter(({ type }) => CONDITIONS.has(type)) }),
      ...(containerStatuses === undefined
        ? {}
        : { containerStatuses: containerStatuses.map(({ name, state }) => ({ name, ...(state === undefined ? {} : { state }) })) }),
    },
  };
}

/** What a function used more of than it has, for which its environment was ended. `limit`: as Kubernetes writes it, such as `512Mi`. */
export type Overuse = { of: "memory" } | { of: "tmp"; limit: string };

/** What a pod's status says of the environment in it. */
export interface PodCondition {
  /** Its processes have ended, or it is being deleted. */
  ended: "running" | "terminating" | "ended";
  /** It ended by what its function did. */
  overuse?: Overuse;
  /** The scheduler's message, when no node has room. */
  unschedulable?: string;
  /** A node was chosen for it, and the kubelet there took note of it: a node that is down never does. */
  acknowledged: "unscheduled" | "pending" | "acknowledged";
  /** Its container has begun. */
  started: boolean;
  /** Why its node does not give it the size that it was to have. */
  resizeRefused?: string;
  /** Why its container cannot start, such as `ErrImagePull: …`. */
  waiting?: string;
}

/**
 * Exit code of a process that was killed: 128 and the number of the signal. A container whose first process ended otherwise did not end
 * for its memory, though its runtime says so when the kernel ever killed any process in it.
 */
const KILLED = 137;

/** The kubelet's words for a volume that went over its limit, which say which one (pkg/kubelet/eviction/helpers.go, emptyDirMessageFmt). */
const TMP_FULL = /^Usage of EmptyDir volume "tmp" exceeds the limit "([^"]{1,32})"/;

/** Reads a pod's status. */
export function podCondition(pod: Pod): PodCondition {
  const phase = pod.status?.phase;
  const states = (pod.status?.containerStatuses ?? []).map((c) => c.state);
  const scheduled = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
  const overuse = overuseOf(pod);
  const resizeRefused = resizeRefusal(pod);
  const waiting = states.find((s) => s?.waiting?.message !== undefined)?.waiting;
  return {
    ended: hasEnded(phase, overuse) ? "ended" : pod.metadata.deletionTimestamp === undefined ? "running" : "terminating",
    acknowledged: pod.spec?.nodeName === undefined ? "unscheduled" : pod.status?.startTime === undefined ? "pending" : "acknowledged",
    ...(scheduled?.status === "False" && scheduled.reason === "Unschedulable"
      ? { unschedulable: scheduled.message ?? "no node has room" }
      : {}),
    started: states.some((s) => s?.running !== undefined || s?.terminated !== undefined),
    ...(resizeRefused === undefined ? {} : { resizeRefused }),
    ...(waiting ? { waiting: `${waiting.reason ?? "Waiting"}: ${waiting.message ?? ""}` } : {}),
    ...(overuse ? { overuse } : {}),
  };
}

/**
 * Nothing is started again in an environment's pod, so what its container ended of is final, a second before the phase says so. How a
 * container ended that was not killed for its memory does not say enough: the reason of an eviction comes with the phase.
 */
function hasEnded(phase: string | undefined, overuse: Overuse | undefined): boolean {
  return phase === "Failed" || phase === "Succeeded" || overuse !== undefined;
}

/**
 * A node says of a new size that it never fits or not now, or that it could not be set (Kubernetes' guide "Resize CPU and Memory Resources
 * assigned to Containers"). What it tries again by itself is left to it.
 */
function resizeRefusal({ status }: Pod): string | undefined {
  const refusal = status?.conditions?.find(
    ({ type, status, reason }) =>
      status === "True" &&
      ((type === "PodResizePending" && (reason === "Infeasible" || reason === "Deferred")) ||
        (type === "PodResizeInProgress" && reason === "Error")),
  );
  return refusal && `${refusal.reason ?? ""}: ${refusal.message ?? ""}`;
}

/** Whether it is the function that its end comes from; not where its node had to make room. */
function overuseOf({ status }: Pod): Overuse | undefined {
  const limit = status?.reason === "Evicted" ? TMP_FULL.exec(status.message ?? "")?.[1] : undefined;
  if (limit !== undefined) return { of: "tmp", limit };
  const killed = status?.containerStatuses?.some(
    ({ state }) => state?.terminated?.reason === "OOMKilled" && state.terminated.exitCode === KILLED,
  );
  return killed ? { of: "memory" } : undefined;
}
