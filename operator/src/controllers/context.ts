import type { Clock, EventRecorder, KubeClient, WorkQueueOptions } from "../kube/index.ts";
import { WorkQueue, type WorkQueueSample } from "../kube/index.ts";
import type { ControllerMetrics } from "../telemetry/controller-metrics.ts";

/** Where lines of the log go; pino's Logger is one. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** What a controller sees of a Reflector. */
export interface Cache<T> {
  /** The namespace is ignored for cluster-wide kinds. */
  get(namespace: string | undefined, name: string): T | undefined;
  list(): T[];
  /** Calls back on every change; first, within this call, with everything already there. Returns what ends it. */
  subscribe(callback: (event: { type: "upsert" | "delete"; object: T; old?: T }) => void): () => void;
}

/** What every controller is given. */
export interface ControllerContext {
  client: Pick<KubeClient, "get" | "apply" | "delete" | "create" | "mergePatch">;
  events: Pick<EventRecorder, "record">;
  metrics: ControllerMetrics;
  clock: Clock;
  log: Log;
}

/** One controller while this process leads: made, started and stopped with each term. */
export interface Controller {
  /** Takes in everything that is cached and begins to work. */
  start(): void;
  /** Lets what is under way finish and takes no more. */
  stop(): Promise<void>;
}

/** A work queue whose work appears in metrics and whose failures appear in the log. */
export function observedQueue(context: ControllerContext, options: Omit<WorkQueueOptions, "clock" | "onResult">): WorkQueue {
  const { metrics, log, clock } = context;
  const queue: WorkQueue = new WorkQueue({
    ...options,
    clock,
    onResult(sample: WorkQueueSample) {
      metrics.queueLatency(sample.queue, sample.waitSeconds);
      metrics.queueDepth(sample.queue, queue.depth);
      metrics.reconciled(sample.queue, RESULT[sample.outcome], sample.seconds);
      if (sample.outcome !== "error") return;
      metrics.queueRetry(sample.queue);
      const message = sample.error instanceof Error ? sample.error.message : String(sample.error);
      log.warn(
        `${sample.queue} ${sample.key}: ${message} (failure ${sample.failures}, again in ${Math.round((sample.retryAfterMs ?? 0) / 1000)} s)`,
      );
    },
  });
  return queue;
}

const RESULT = { success: "ok", requeue: "requeued", error: "error" } as const;
