/**
 * Measures Kappa beside its peers on the running cluster, inside its network, and writes what it found to `e2e/bench/results`.
 *
 *     [PEERS=knative] node scripts/bench.ts [--quick] [--only ROW]      rows: P1, P2 (with P3), P4, P7, P8, Knative
 *
 * `--quick` takes minutes and compares the ratios with those of the last full run (`limits.json`).
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { measuredCommit } from "../../scripts/commit.ts";
import { ClusterError } from "../cluster/failure.ts";
import { readIfThere, writeWhole } from "../cluster/files.ts";
import { Progress } from "../cluster/progress.ts";
import { Limits, limitsFrom, regressions } from "./limits.ts";
import { observeMachine } from "./machine.ts";
import type { Peer } from "./peers.ts";
import { percentilePlot } from "./plot.ts";
import { type Findings, report, rowsTable, type Series } from "./report.ts";
import { bursts } from "./rows/burst.ts";
import { cold } from "./rows/cold.ts";
import { knative } from "./rows/knative.ts";
import { memory } from "./rows/memory.ts";
import { quiet } from "./rows/quiet.ts";
import { warm } from "./rows/warm.ts";
import { type Site, withSite } from "./site.ts";
import { FULL, QUICK, type Size } from "./sizes.ts";
import { summarise } from "./statistics.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));

type Part = (site: Site, size: Size, note: (line: string) => void) => Promise<Findings>;

const PARTS: readonly { row: string; what: string; run: Part }[] = [
  { row: "P1", what: "warm invocations", run: warm },
  { row: "P2", what: "cold starts, from the pool and (P3) without one", run: cold },
  { row: "P4", what: "bursts of first requests", run: bursts },
  { row: "P7", what: "requests to the API server", run: quiet },
];

/** The last of all: its thousand functions, deleted, keep the API server busy for minutes. */
const LAST: (typeof PARTS)[number] = { row: "P8", what: "memory", run: memory };

/** Rows beside peers that have to be asked for. */
const BESIDE: Readonly<Record<Peer, (typeof PARTS)[number]>> = {
  knative: { row: "Knative", what: "P1, P2 and P3 beside Knative Serving", run: knative },
};

/** Runs the bench. Resolves to what is much worse than it was, each as a sentence; nothing for a full run. */
export async function bench(options: { quick: boolean; only: string | undefined; peers: readonly Peer[] }): Promise<string[]> {
  const size = options.quick ? QUICK : FULL;
  const known = [...PARTS, ...options.peers.map((peer) => BESIDE[peer]), LAST];
  const parts = known.filter(({ row }) => options.only === undefined || row === options.only);
  if (parts.length === 0)
    throw new ClusterError(
      `the bench has no row ${options.only}`,
      `name one of ${known.map(({ row }) => row).join(", ")}; Knative is there with PEERS=knative`,
    );
  // What was built and installed, though a change be committed meanwhile.
  const measured = identity();
  const machine = observeMachine();
  const progress = new Progress(parts.length);
  const found: Findings[] = [];
  const problems: string[] = [];
  await withSite(console.error, async (site) => {
    for (const { row, what, run } of parts)
      await progress
        .step(`${row}: ${what}`, async (note) => {
          const findings = await run(site, size, note);
          found.push(findings);
          for (const line of rowsTable(findings.rows).split("\n")) note(line);
        })
        // The other rows are worth having.
        .catch((error: unknown) =>
          problems.push(`${row} could not be measured: ${error instanceof Error ? error.message : String(error)}`),
        );
  });
  const rows = found.flatMap((findings) => findings.rows);
  const series = found.flatMap((findings) => findings.series);
  const notes = [...found.flatMap(({ notes }) => notes ?? []), ...problems];
  const result = { size: size.name, rows, notes, machine: machine(), ...measured };
  if (options.quick) {
    console.log(report({ ...result, series: summaries(series), plots: [] }));
    const known = await limits();
    return known === undefined ? problems : [...problems, ...regressions(rows, known)];
  }
  await keep(result, series, options.only);
  return problems;
}

function identity(): { commit: string; date: string } {
  const { commit, changed } = measuredCommit();
  return { commit: `${commit}${changed ? "-changed" : ""}`, date: new Date().toISOString().slice(0, 10) };
}

const summaries = (series: readonly Series[]) =>
  series.map(({ name, group, milliseconds }) => ({ name, group, summary: summarise(milliseconds) }));

/** Writes report and pictures of a run of full size, and the limits that follow from one of all parts. */
async function keep(
  result: Omit<Parameters<typeof report>[0], "series" | "plots">,
  series: readonly Series[],
  only: string | undefined,
): Promise<void> {
  const name = [result.date, result.commit, ...(only === undefined ? [] : [`only-${only.toLowerCase()}`])].join("-");
  const plots: string[] = [];
  for (const [group, members] of Map.groupBy(series, (one) => one.group)) {
    const file = `${name}-${group.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}.svg`;
    await writeWhole(join(folder, "results", file), percentilePlot(group, members));
    plots.push(file);
  }
  const text = report({ ...result, series: summaries(series), plots });
  await writeWhole(join(folder, "results", `${name}.md`), text);
  console.log(text);
  if (only !== undefined) return;
  const { commit, date } = result;
  await writeWhole(join(folder, "limits.json"), `${JSON.stringify(limitsFrom(result.rows, { commit, date }), undefined, 2)}\n`);
}

/** Of the last full run; none before the first. */
async function limits(): Promise<Limits | undefined> {
  const text = await readIfThere(join(folder, "limits.json"));
  return text === undefined ? undefined : Limits.parse(JSON.parse(text));
}
