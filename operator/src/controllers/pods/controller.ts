/** Sweeps away environment pods that are finished. Pods whose Function is gone are the garbage collector's: they are owned. */
import { objectKey, parseKey, type ReconcileResult, Resources } from "../../kube/index.ts";
import { type Cache, type Controller, type ControllerContext, observedQueue } from "../context.ts";
import { type PodObject, sweepDelay } from "./decide.ts";

export interface PodControllerDeps extends ControllerContext {
  /** Environment pods of all namespaces. */
  pods: Cache<PodObject>;
}

/** Makes the controller of finished pods. */
export function podController({ pods, ...context }: PodControllerDeps): Controller {
  const { client, clock } = context;
  const firstSeen = new Map<string, number>();
  let unsubscribe = () => {};
  const queue = observedQueue(context, { name: "pods", workers: 2, reconcile });

  async function reconcile(key: string): Promise<ReconcileResult | undefined> {
    const ref = parseKey(key);
    const pod = pods.get(ref.namespace, ref.name);
    if (pod === undefined) return undefined;
    const { uid = "" } = pod.metadata;
    const now = clock.now();
    const delay = sweepDelay(pod, firstSeen.get(uid) ?? now, now);
    if (delay === undefined) return undefined;
    if (!firstSeen.has(uid)) firstSeen.set(uid, now);
    if (delay > 0) return { requeueAfterMs: delay };
    await client.delete(Resources.pod, { ...ref, uid });
    return undefined;
  }

  return {
    start() {
      unsubscribe = pods.subscribe(({ type, object }) => {
        if (type === "delete") firstSeen.delete(object.metadata.uid ?? "");
        else queue.add(objectKey(object.metadata));
      });
      queue.start();
    },
    async stop() {
      unsubscribe();
      await queue.stop();
    },
  };
}
