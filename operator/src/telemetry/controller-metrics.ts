import { collectDefaultMetrics, Registry } from "prom-client";
import { API_REQUEST_METRICS, type ApiRequest, registerApiRequestMetrics } from "./api-request-metrics.ts";
import {
  counter,
  gauge,
  histogram,
  type MetricReference,
  referenceOf,
  registerCounter,
  registerGauge,
  registerHistogram,
} from "./metric-definitions.ts";

const METRICS = {
  ...API_REQUEST_METRICS,
  reconciles: counter("kappa_reconciles_total", "Reconciliations by controller and result.", ["controller", "result"]),
  reconcileDuration: histogram(
    "kappa_reconcile_duration_seconds",
    "Time one reconciliation took.",
    [0.005, 0.025, 0.1, 0.5, 2.5, 10, 60],
    ["controller"],
  ),
  queueDepth: gauge("kappa_workqueue_depth", "Keys waiting in a work queue, those being worked on excluded.", ["queue"]),
  queueLatency: histogram(
    "kappa_workqueue_latency_seconds",
    "Time a key waited in a work queue before it was worked on.",
    [0.001, 0.01, 0.1, 1, 10, 60],
    ["queue"],
  ),
  queueRetries: counter("kappa_workqueue_retries_total", "Keys put back after a failed reconciliation.", ["queue"]),
  functions: gauge("kappa_functions", "Functions by Lambda's state.", ["state"]),
  leader: gauge("kappa_leader", "1 while this replica holds the controllers' lease."),
  packagesStored: counter("kappa_packages_stored_total", "Packages taken from their source, by source and result.", ["source", "result"]),
} as const;

export interface ControllerMetrics {
  readonly registry: Registry;
  reconciled(controller: string, result: "ok" | "error" | "requeued", seconds: number): void;
  queueDepth(queue: string, depth: number): void;
  queueLatency(queue: string, seconds: number): void;
  queueRetry(queue: string): void;
  leader(isLeader: boolean): void;
  packageStored(source: "inline" | "zip" | "configMap" | "object" | "url", result: "stored" | "unchanged" | "refused" | "error"): void;
  apiRequest(request: ApiRequest): void;
  /** Counts by Lambda's state, read when scraped. Given once. */
  observeFunctions(counts: () => Readonly<Record<string, number>>): void;
}

/** Makes the controller's metrics in a registry of their own, with the process' own metrics beside them. */
export function createControllerMetrics(): ControllerMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const reconciles = registerCounter(registry, METRICS.reconciles);
  const reconcileDuration = registerHistogram(registry, METRICS.reconcileDuration);
  const queueDepth = registerGauge(registry, METRICS.queueDepth);
  const queueLatency = registerHistogram(registry, METRICS.queueLatency);
  const queueRetries = registerCounter(registry, METRICS.queueRetries);
  const leader = registerGauge(registry, METRICS.leader);
  const packages = registerCounter(registry, METRICS.packagesStored);
  return {
    registry,
    reconciled(controller, result, seconds) {
      reconciles.inc({ controller, result });
      reconcileDuration.observe({ controller }, seconds);
    },
    queueDepth: (queue, depth) => queueDepth.set({ queue }, depth),
    queueLatency: (queue, seconds) => queueLatency.observe({ queue }, seconds),
    queueRetry: (queue) => queueRetries.inc({ queue }),
    leader: (isLeader) => leader.set(isLeader ? 1 : 0),
    packageStored: (source, result) => packages.inc({ source, result }),
    apiRequest: registerApiRequestMetrics(registry),
    observeFunctions(counts) {
      registerGauge(registry, METRICS.functions, (g) => {
        g.reset();
        for (const [state, count] of Object.entries(counts())) g.set({ state }, count);
      });
    },
  };
}

/** The controller's own metrics, for the documentation. */
export function controllerMetricsReference(): MetricReference[] {
  return referenceOf(METRICS);
}
