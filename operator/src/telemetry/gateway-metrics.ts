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
import { POOL_METRICS, type PoolMetrics, registerPoolMetrics } from "./pool-metrics.ts";

/**
 * Functions that have series of their own in one gateway; further ones share the label {@link OVERFLOW}. A scrape of some
 * thousand histogram series holds the event loop for tens of milliseconds, which callers would feel.
 */
export const MAX_LABELLED_FUNCTIONS = 200;

/** Value of `function` for the functions beyond {@link MAX_LABELLED_FUNCTIONS}. */
export const OVERFLOW = "_other";

/** States of an environment, as the label of `kappa_environments`. */
const ENVIRONMENT_STATES = ["starting", "idle", "busy", "retiring"] as const;
export type EnvironmentGaugeState = (typeof ENVIRONMENT_STATES)[number];

const FUNCTION = ["namespace", "function"] as const;

const METRICS = {
  ...API_REQUEST_METRICS,
  ...POOL_METRICS,
  invocations: counter(
    "kappa_invocations_total",
    "Invocations that ran the function's code, whether it succeeded or not. As Lambda's Invocations: throttled requests do not count.",
    FUNCTION,
  ),
  errors: counter(
    "kappa_errors_total",
    "Invocations that ended in a function error: exceptions, time-outs, exits. As Lambda's Errors.",
    FUNCTION,
  ),
  throttles: counter("kappa_throttles_total", "Requests refused by a concurrency limit. As Lambda's Throttles.", FUNCTION),
  platformErrors: counter(
    "kappa_platform_errors_total",
    "Requests that Kappa could not serve although nothing was wrong with them (HTTP 5xx to the caller).",
    FUNCTION,
  ),
  duration: histogram(
    "kappa_duration_seconds",
    "Time the function's code took for an event, initialisation excluded. As Lambda's Duration.",
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 900],
    FUNCTION,
  ),
  initDuration: histogram(
    "kappa_init_duration_seconds",
    "Time from process start to the runtime's first request for an event. As Lambda's Init Duration.",
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    ["runtime"],
  ),
  overhead: histogram(
    "kappa_overhead_seconds",
    "Time a served request spent in Kappa: from its arrival to its answer, less the function's duration, for warm invocations at their owner.",
    [0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.05, 0.25, 1],
  ),
  coldStart: histogram(
    "kappa_cold_start_seconds",
    "Time from the wish for a new environment to the moment it could take its first event.",
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30],
    ["runtime"],
  ),
  billed: counter(
    "kappa_billed_gb_seconds_total",
    "Billed duration (1 ms steps, initialisation included) times configured memory, in GB-seconds.",
    FUNCTION,
  ),
  billedTime: counter(
    "kappa_billed_seconds_total",
    "Billed duration (1 ms steps, initialisation included), whatever the memory. Its sum is that of the REPORT lines.",
    FUNCTION,
  ),
  concurrent: gauge("kappa_concurrent_executions", "Events being processed now. As Lambda's ConcurrentExecutions.", FUNCTION),
  provisionedExecutions: gauge(
    "kappa_provisioned_concurrency_executions",
    "Events being processed now in environments of provisioned concurrency. As Lambda's ProvisionedConcurrentExecutions.",
    FUNCTION,
  ),
  provisionedInvocations: counter(
    "kappa_provisioned_concurrency_invocations_total",
    "Invocations that ran in environments of provisioned concurrency. As Lambda's ProvisionedConcurrencyInvocations.",
    FUNCTION,
  ),
  spillover: counter(
    "kappa_provisioned_concurrency_spillover_invocations_total",
    "Invocations that ran on demand because all provisioned concurrency was in use. As Lambda's ProvisionedConcurrencySpilloverInvocations.",
    FUNCTION,
  ),
  environments: gauge("kappa_environments", "Environments this gateway owns, by state.", ["state"]),
  environmentFailures: counter("kappa_environment_failures_total", "Environments that failed, by reason.", ["reason"]),
  requests: counter("kappa_gateway_requests_total", "Requests on Lambda's API by operation and HTTP status.", ["operation", "status"]),
  forwarded: counter("kappa_gateway_forwarded_total", "Requests forwarded to the owning gateway, by result.", ["result"]),
  peers: gauge("kappa_gateway_peers", "Other gateways this one holds alive."),
  agents: gauge("kappa_gateway_agent_connections", "Open connections of agents."),
  authentications: counter("kappa_authentications_total", "Callers authenticated, by method and result.", ["method", "result"]),
  authorisationReviews: counter(
    "kappa_authorisation_reviews_total",
    "SubjectAccessReviews asked of the API server, by result. A warm invocation asks none.",
    ["result"],
  ),
  packageCache: counter("kappa_package_cache_total", "Package downloads by agents, by where the package came from.", ["result"]),
} as const;

/** What is counted for one function; held by its dispatcher so that the hot path looks up no labels. */
export interface FunctionMetrics {
  /** One event came back: `durationMs` and `billedMs` as the agent measured them. */
  finished(result: { durationMs: number; billedMs: number; memoryMb: number; functionError: boolean }): void;
  throttled(): void;
  platformError(): void;
  concurrent(now: number): void;
  /** An event begins (1), or has ended or comes back (-1), in an environment of provisioned concurrency. */
  provisioned(change: 1 | -1): void;
  /** An event has ended in an environment of provisioned concurrency. */
  ranProvisioned(): void;
  /** An event has ended in another environment, because those of provisioned concurrency were in use. */
  spilledOver(): void;
}

export interface GatewayMetrics {
  readonly registry: Registry;
  readonly pools: PoolMetrics;
  /** The function's own children. Calling again gives the same ones. */
  forFunction(namespace: string, functionName: string): FunctionMetrics;
  /** Removes a deleted function's series. */
  forgetFunction(namespace: string, functionName: string): void;
  initDuration(runtime: string, seconds: number): void;
  coldStart(runtime: string, seconds: number): void;
  overhead(seconds: number): void;
  environmentFailed(reason: "init" | "package" | "startTimeout" | "podFailed" | "connectionLost" | "podCreate"): void;
  request(operation: "Invoke" | "InvokeWithResponseStream" | "GetBillingReport" | "unknown", status: number): void;
  forwarded(result: "ok" | "retried" | "failed"): void;
  authenticated(method: "signature" | "token" | "none", result: "ok" | "refused"): void;
  authorisationReview(result: "allowed" | "denied" | "error"): void;
  packageServed(result: "hit" | "miss" | "error"): void;
  apiRequest(request: ApiRequest): void;
  /** Sources of the gauges that are read when scraped. Given once, by the gateway. */
  observe(sources: {
    environments: () => Readonly<Record<EnvironmentGaugeState, number>>;
    peers: () => number;
    agents: () => number;
  }): void;
}

/** Makes the gateway's metrics in a registry of their own, with the process' own metrics beside them. */
export function createGatewayMetrics(): GatewayMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const invocations = registerCounter(registry, METRICS.invocations);
  const errors = registerCounter(registry, METRICS.errors);
  const throttles = registerCounter(registry, METRICS.throttles);
  const platformErrors = registerCounter(registry, METRICS.platformErrors);
  const duration = registerHistogram(registry, METRICS.duration);
  const billed = registerCounter(registry, METRICS.billed);
  const billedTime = registerCounter(registry, METRICS.billedTime);
  const concurrent = registerGauge(registry, METRICS.concurrent);
  const provisionedExecutions = registerGauge(registry, METRICS.provisionedExecutions);
  const provisionedInvocations = registerCounter(registry, METRICS.provisionedInvocations);
  const spillover = registerCounter(registry, METRICS.spillover);
  const initDuration = registerHistogram(registry, METRICS.initDuration);
  const coldStart = registerHistogram(registry, METRICS.coldStart);
  const overhead = registerHistogram(registry, METRICS.overhead).labels();
  const environmentFailures = registerCounter(registry, METRICS.environmentFailures);
  const requests = registerCounter(registry, METRICS.requests);
  const forwarded = registerCounter(registry, METRICS.forwarded);
  const authentications = registerCounter(registry, METRICS.authentications);
  const reviews = registerCounter(registry, METRICS.authorisationReviews);
  const packageCache = registerCounter(registry, METRICS.packageCache);
  const apiRequest = registerApiRequestMetrics(registry);

  const children = new Map<string, { metrics: FunctionMetrics; label: string }>();
  // A request's outcome has few combinations, each kept: building label keys costs more than counting.
  const requestChildren = new Map<string, { inc(): void }>();

  function labelFor(functionName: string): string {
    let own = 0;
    for (const child of children.values()) if (child.label !== OVERFLOW) own++;
    return own < MAX_LABELLED_FUNCTIONS ? functionName : OVERFLOW;
  }

  return {
    registry,
    pools: registerPoolMetrics(registry),
    forFunction(namespace, functionName) {
      const key = `${namespace}/${functionName}`;
      const known = children.get(key);
      if (known) return known.metrics;
      const label = labelFor(functionName);
      const labels = { namespace: label === OVERFLOW ? OVERFLOW : namespace, function: label };
      const child = {
        invocations: invocations.labels(labels),
        errors: errors.labels(labels),
        throttles: throttles.labels(labels),
        platformErrors: platformErrors.labels(labels),
        duration: duration.labels(labels),
        billed: billed.labels(labels),
        billedTime: billedTime.labels(labels),
        concurrent: concurrent.labels(labels),
      };
      let last = 0;
      const metrics: FunctionMetrics = {
        finished({ durationMs, billedMs, memoryMb, functionError }) {
          child.invocations.inc();
          if (functionError) child.errors.inc();
          child.duration.observe(durationMs / 1000);
          child.billed.inc(((billedMs / 1000) * memoryMb) / 1024);
          child.billedTime.inc(billedMs / 1000);
        },
        throttled: () => child.throttles.inc(),
        platformError: () => child.platformErrors.inc(),
        concurrent(now) {
          // By difference, because functions beyond the limit share one series.
          child.concurrent.inc(now - last);
          last = now;
        },
        // Few functions have any, so these have no series until they are used.
        provisioned: (change) => provisionedExecutions.inc(labels, change),
        ranProvisioned: () => provisionedInvocations.inc(labels),
        spilledOver: () => spillover.inc(labels),
      };
      children.set(key, { metrics, label });
      return metrics;
    },
    forgetFunction(namespace, functionName) {
      const key = `${namespace}/${functionName}`;
      const child = children.get(key);
      if (!child) return;
      children.delete(key);
      if (child.label === OVERFLOW) return;
      const ofInvocations = [invocations, errors, throttles, platformErrors, duration, billed, billedTime, concurrent];
      for (const metric of [...ofInvocations, provisionedExecutions, provisionedInvocations, spillover])
        metric.remove(namespace, functionName);
    },
    initDuration: (runtime, seconds) => initDuration.observe({ runtime }, seconds),
    coldStart: (runtime, seconds) => coldStart.observe({ runtime }, seconds),
    overhead: (seconds) => overhead.observe(seconds),
    environmentFailed: (reason) => environmentFailures.inc({ reason }),
    request(operation, status) {
      const key = `${operation}${status}`;
      let child = requestChildren.get(key);
      if (!child) {
        child = requests.labels({ operation, status: String(status) });
        requestChildren.set(key, child);
      }
      child.inc();
    },
    forwarded: (result) => forwarded.inc({ result }),
    authenticated: (method, result) => authentications.inc({ method, result }),
    authorisationReview: (result) => reviews.inc({ result }),
    packageServed: (result) => packageCache.inc({ result }),
    apiRequest,
    observe({ environments, peers, agents }) {
      registerGauge(registry, METRICS.environments, (g) => {
        const counts = environments();
        for (const state of ENVIRONMENT_STATES) g.set({ state }, counts[state]);
      });
      registerGauge(registry, METRICS.peers, (g) => g.set(peers()));
      registerGauge(registry, METRICS.agents, (g) => g.set(agents()));
    },
  };
}

/** The gateway's own metrics, for the documentation. */
export function gatewayMetricsReference(): MetricReference[] {
  return referenceOf(METRICS);
}
