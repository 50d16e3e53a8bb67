/** When a finished environment pod is swept away. Pure. */
import type { KubeObject } from "../../kube/index.ts";

/** How long a finished pod stays, milliseconds: the gateway and people read from it why it ended. */
export const FINISHED_GRACE_MS = 60_000;

/** A Pod, as far as its beginning and its end go. */
export interface PodObject extends KubeObject {
  status?: {
    phase?: string;
    message?: string;
    reason?: string;
    conditions?: { type: string; status: string; reason?: string; message?: string }[];
    containerStatuses?: { state?: { terminated?: { finishedAt?: string | null; reason?: string; message?: string } } }[];
  };
}

/**
 * @param firstSeenFinished when the pod was first seen to be finished, epoch milliseconds, for pods that do not say when they ended
 * @returns milliseconds until the pod is to be deleted, 0 when it is due; undefined when it is not finished or going already
 */
export function sweepDelay(pod: PodObject, firstSeenFinished: number, now: number): number | undefined {
  const phase = pod.status?.phase;
  if ((phase !== "Succeeded" && phase !== "Failed") || pod.metadata.deletionTimestamp !== undefined) return undefined;
  const ends = (pod.status?.containerStatuses ?? []).map(({ state }) => Date.parse(state?.terminated?.finishedAt ?? ""));
  const told = ends.filter((end) => Number.isFinite(end));
  // A node's clock may be ahead; nobody's pod ended after it was seen to have ended.
  const end = Math.min(told.length > 0 ? Math.max(...told) : firstSeenFinished, firstSeenFinished);
  return Math.max(0, end + FINISHED_GRACE_MS - now);
}
