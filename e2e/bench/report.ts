/** The bench's result as text. Pure. */
import type { MachineFacts } from "./machine.ts";
import type { Summary } from "./statistics.ts";

/** One line of the table: a number that was to be reached. */
export interface Row {
  /** As in DESIGN.md §10, with a letter where it has several parts. */
  id: string;
  what: string;
  target: string;
  measured: string;
  /** What it was measured against, with its own number; absent where the target is absolute. */
  peer?: string;
  /** Measured by the peer's; what `bench-quick` compares with the limits. */
  ratio?: number;
  /** The same of each round: what the spread is of. */
  rounds?: readonly number[];
  /** Of a rate; a time is the better the lower it is. */
  higherIsBetter?: boolean;
  /** Absent where the row only informs. */
  reached?: boolean;
}

/** One series of latencies, in milliseconds. */
export interface Series {
  name: string;
  /** Series of one group are drawn into one plot. */
  group: string;
  milliseconds: readonly number[];
}

/** What a part of the bench found. */
export interface Findings {
  rows: Row[];
  series: Series[];
  /** Markdown about where the time goes; absent where there is nothing to say. */
  notes?: string;
}

export const milliseconds = (value: number): string => `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;

const decimals = (value: number): string => value.toFixed(value < 10 ? 3 : value < 100 ? 2 : 1);

/** The table of rows. */
export function rowsTable(rows: readonly Row[]): string {
  const lines = rows.map(({ id, what, target, measured, peer, ratio, reached }) => [
    id,
    what,
    target,
    measured,
    peer ?? "",
    ratio === undefined ? "" : ratio.toFixed(ratio < 10 ? 2 : 1),
    reached === undefined ? "–" : reached ? "yes" : "**no**",
  ]);
  return table(["row", "what", "target", "measured", "peer", "ratio", "reached"], "lllllrl", lines);
}

/** The table of percentiles, with counts. */
export function percentilesTable(series: readonly { name: string; group: string; summary: Summary }[]): string {
  return table(
    ["series", "group", "count", "p50 ms", "p90", "p95", "p99", "p99.9", "max"],
    "llrrrrrrr",
    series.map(({ name, group, summary: s }) => [
      name,
      group,
      String(s.count),
      ...[s.p50, s.p90, s.p95, s.p99, s.p999, s.max].map(decimals),
    ]),
  );
}

/** A Markdown table. @param alignment one letter a column: l or r */
export function table(head: readonly string[], alignment: string, lines: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), `|${[...alignment].map((a) => (a === "r" ? "---:" : "---")).join("|")}|`, ...lines.map(line)].join("\n");
}

/** The whole file of a run. */
export function report(run: {
  machine: MachineFacts;
  commit: string;
  date: string;
  size: string;
  rows: readonly Row[];
  series: readonly { name: string; group: string; summary: Summary }[];
  notes: readonly string[];
  plots: readonly string[];
}): string {
  const { machine } = run;
  const reached = run.rows.filter((row) => row.reached === true).length;
  const missed = run.rows.filter((row) => row.reached === false);
  return [
    `# Bench, ${run.date}, commit ${run.commit}`,
    "",
    `- ${run.size}`,
    `- Machine: ${machine.cores} × ${machine.processor}, ${machine.memoryGiB} GiB, Linux ${machine.kernel}`,
    `- Load when it began ${machine.loadBefore}, when it ended ${machine.loadAfter} (1 minute's average; other work of the machine is in it)`,
    `- ${reached} reached, ${missed.length} not${missed.length === 0 ? "" : `: ${missed.map((row) => row.id).join(", ")}`}`,
    "",
    rowsTable(run.rows),
    "",
    "## Percentiles",
    "",
    percentilesTable(run.series),
    "",
    ...run.plots.flatMap((plot) => [`![${plot}](${plot})`, ""]),
    ...run.notes.flatMap((note) => [note, ""]),
  ].join("\n");
}
