import type { Registry } from "prom-client";
import { counter, histogram, registerCounter, registerHistogram } from "./metric-definitions.ts";

/** One finished request to the Kubernetes API, as `KubeClient` reports it. */
export interface ApiRequest {
  verb: string;
  resource: string;
  /** HTTP status as text, or a word such as `error` when there was no answer. */
  status: string | number;
  seconds: number;
}

/** Requests to the Kubernetes API: the same two metrics in every process that talks to it. */
export const API_REQUEST_METRICS = {
  apiRequests: counter("kappa_api_requests_total", "Requests to the Kubernetes API.", ["verb", "resource", "status"]),
  apiRequestDuration: histogram(
    "kappa_api_request_duration_seconds",
    "Time a request to the Kubernetes API took, watches excluded.",
    [0.005, 0.025, 0.1, 0.5, 2.5, 10],
    ["verb"],
  ),
} as const;

/** Registers them and returns the hook for `KubeClient`'s `onRequest`. */
export function registerApiRequestMetrics(registry: Registry): (request: ApiRequest) => void {
  const requests = registerCounter(registry, API_REQUEST_METRICS.apiRequests);
  const duration = registerHistogram(registry, API_REQUEST_METRICS.apiRequestDuration);
  return ({ verb, resource, status, seconds }) => {
    requests.inc({ verb, resource, status: String(status) });
    // A watch lasts minutes by intention and would drown the rest.
    if (verb !== "watch") duration.observe({ verb }, seconds);
  };
}
