import type { KubeObject } from "../kube/objects.ts";
import { Annotation } from "../resources/labels.ts";

/** The part of a Pod that the gateway reads. */
export interface Pod extends KubeObject {
  spec?: { nodeName?: string };
  status?: {
    phase?: string;
    /** When the node's kubelet took note of the pod. */
    startTime?: string;
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
    containerStatuses?: {
      name: string;
      state?: {
        waiting?: { reason?: string; message?: string };
        terminated?: { reason?: string; exitCode?: number };
      };
    }[];
  };
}

/** What is kept of a pod in memory. */
export function trimPod({ apiVersion, kind, metadata, spec, status }: Pod): Pod {
  const { name, namespace, uid, resourceVersion, creationTimestamp, deletionTimestamp, annotations } = metadata;
  const assignment = annotations?.[Annotation.assignment];
  const { phase, startTime, conditions, containerStatuses } = status ?? {};
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
      ...(assignment === undefined ? {} : { annotations: { [Annotation.assignment]: assignment } }),
    },
    ...(spec?.nodeName === undefined ? {} : { spec: { nodeName: spec.nodeName } }),
    status: {
      ...(phase === undefined ? {} : { phase }),
      ...(startTime === undefined ? {} : { startTime }),
      ...(conditions === undefined ? {} : { conditions: conditions.filter(({ type }) => type === "PodScheduled") }),
      ...(containerStatuses === undefined
        ? {}
        : { containerStatuses: containerStatuses.map(({ name, state }) => ({ name, ...(state === undefined ? {} : { state }) })) }),
    },
  };
}

/** What a pod's status says of the environment in it. */
export interface PodCondition {
  /** Its processes have ended, or it is being deleted. */
  ended: "running" | "terminating" | "ended";
  /** The kernel killed it for its memory. */
  outOfMemory: boolean;
  /** The scheduler's message, when no node has room. */
  unschedulable?: string;
  /** A node was chosen for it, and the kubelet there took note of it: a node that is down never does. */
  acknowledged: "unscheduled" | "pending" | "acknowledged";
  /** Why its container cannot start, such as `ErrImagePull: …`. */
  waiting?: string;
}

/**
 * Exit code of a process that was killed: 128 and the number of the signal. A container whose first process ended otherwise did not end
 * for its memory, though its runtime says so when the kernel ever killed any process in it.
 */
const KILLED = 137;

/** Reads a pod's status. */
export function podCondition(pod: Pod): PodCondition {
  const phase = pod.status?.phase;
  const states = (pod.status?.containerStatuses ?? []).map((c) => c.state);
  const scheduled = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
  const waiting = states.find((s) => s?.waiting?.message !== undefined)?.waiting;
  return {
    ended: phase === "Failed" || phase === "Succeeded" ? "ended" : pod.metadata.deletionTimestamp === undefined ? "running" : "terminating",
    outOfMemory: states.some((s) => s?.terminated?.reason === "OOMKilled" && s.terminated.exitCode === KILLED),
    acknowledged: pod.spec?.nodeName === undefined ? "unscheduled" : pod.status?.startTime === undefined ? "pending" : "acknowledged",
    ...(scheduled?.status === "False" && scheduled.reason === "Unschedulable"
      ? { unschedulable: scheduled.message ?? "no node has room" }
      : {}),
    ...(waiting ? { waiting: `${waiting.reason ?? "Waiting"}: ${waiting.message ?? ""}` } : {}),
  };
}
