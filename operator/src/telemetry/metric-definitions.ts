import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** What the metrics reference says of one metric; the documentation is generated from these. */
export interface MetricReference {
  name: string;
  type: "counter" | "gauge" | "histogram";
  help: string;
  labels: readonly string[];
}

/** One metric as data: registered from, and documented from, the same place. */
export interface MetricDefinition<L extends string, T extends MetricReference["type"] = MetricReference["type"]> {
  type: T;
  name: string;
  help: string;
  labels: readonly L[];
  /** Upper bounds, histograms only. */
  buckets?: readonly number[];
}

/** Defines a metric that only rises. Its name ends in `_total`. */
export function counter<L extends string = never>(
  name: `${string}_total`,
  help: string,
  labels: readonly L[] = [],
): MetricDefinition<L, "counter"> {
  return { type: "counter", name, help, labels };
}

/** Defines a metric that goes up and down. */
export function gauge<L extends string = never>(name: string, help: string, labels: readonly L[] = []): MetricDefinition<L, "gauge"> {
  return { type: "gauge", name, help, labels };
}

/** Defines a distribution over `buckets`. Each label set costs `buckets + 2` series, so labels are few. */
export function histogram<L extends string = never>(
  name: string,
  help: string,
  buckets: readonly number[],
  labels: readonly L[] = [],
): MetricDefinition<L, "histogram"> {
  return { type: "histogram", name, help, labels, buckets };
}

/** Creates the counter in a registry. */
export function registerCounter<L extends string>(registry: Registry, d: MetricDefinition<L, "counter">): Counter<L> {
  return new Counter({ name: d.name, help: d.help, labelNames: d.labels, registers: [registry] });
}

/** Creates the gauge in a registry; `collect` sets it when it is scraped. */
export function registerGauge<L extends string>(
  registry: Registry,
  d: MetricDefinition<L, "gauge">,
  collect?: (gauge: Gauge<L>) => void,
): Gauge<L> {
  const config = { name: d.name, help: d.help, labelNames: d.labels, registers: [registry] };
  if (!collect) return new Gauge(config);
  return new Gauge({
    ...config,
    collect(this: Gauge<L>) {
      collect(this);
    },
  });
}

/** Creates the histogram in a registry. */
export function registerHistogram<L extends string>(registry: Registry, d: MetricDefinition<L, "histogram">): Histogram<L> {
  return new Histogram({ name: d.name, help: d.help, labelNames: d.labels, buckets: [...(d.buckets ?? [])], registers: [registry] });
}

/** The reference of a set of definitions, sorted by name. */
export function referenceOf(definitions: Readonly<Record<string, MetricDefinition<string>>>): MetricReference[] {
  return Object.values(definitions)
    .map(({ name, type, help, labels }) => ({ name, type, help, labels }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
