import { controllerMetricsReference } from "../../operator/src/telemetry/controller-metrics.ts";
import { gatewayMetricsReference } from "../../operator/src/telemetry/gateway-metrics.ts";
import type { MetricReference } from "../../operator/src/telemetry/metric-definitions.ts";
import { code, generatedFrom, table } from "./markdown.ts";

/** Writes `docs/reference/metrics.md`: every metric of every process. */
export function metricsReference(): string {
  return [
    "# Metrics",
    generatedFrom("operator/src/telemetry/"),
    `Each process answers on port 9090 under ${code("/metrics")}, in Prometheus' text format.`,
    "## Gateway",
    metricTable(gatewayMetricsReference()),
    "## Controller",
    metricTable(controllerMetricsReference()),
    "",
  ].join("\n\n");
}

function metricTable(metrics: MetricReference[]): string {
  return table(
    ["Name", "Type", "Labels", "Meaning"],
    metrics.map(({ name, type, labels, help }) => [code(name), type, labels.map(code).join(", "), help]),
  );
}
