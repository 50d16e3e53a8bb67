/** P2 and P3: the first invocation of a function that was never invoked, from the pool and without one. */
import type { Runtime } from "../../suites/runtimes/support/functions.ts";
import { answered } from "../load/client.ts";
import type { Outcome } from "../load/messages.ts";
import { type Findings, milliseconds, type Row, type Series, table } from "../report.ts";
import { invocation, NAMESPACE, type Site } from "../site.ts";
import type { Size } from "../sizes.ts";
import { median, percentile, ratios, sorted, summarise } from "../statistics.ts";
import { plainDeployment, scaledUp } from "../targets/deployment.ts";
import { type Gateway, gateways, idleFunctions, makeFunctions, ownerOf, removeFunctions } from "../targets/kappa.ts";
import { type EnvironmentPod, environments, isOf, podStart } from "../targets/pod-start.ts";
import { type Pools, withPools } from "../targets/pools.ts";
import { type Reported, reported } from "./report-line.ts";

/** Milliseconds to reach, by runtime. */
const TARGETS = {
  "python3.11": { p50: 15, p95: 30 },
  "nodejs24.x": { p50: 15, p95: 30 },
  "nodejs22.x": { p50: 15, p95: 30 },
  java17: { p50: 50, p95: 90 },
} as const satisfies Partial<Record<Runtime, { p50: number; p95: number }>>;

type Measured = keyof typeof TARGETS;
const RUNTIMES = Object.keys(TARGETS) as Measured[];

/** Of the cold starts that a pool does not help: more memory than its environments have. */
export const TOO_LARGE = { memorySize: 3008 };

/** One first invocation. */
export interface ColdStart {
  milliseconds: number;
  outcome: Outcome;
  stages: Reported | undefined;
}

/** Invokes a function for the first time, at its owner, over a connection that is open. */
export async function coldStart(site: Site, all: readonly Gateway[], functionName: string): Promise<ColdStart> {
  const target = invocation(site, ownerOf(all, functionName).address, functionName);
  const outcome = await site.load.run({
    do: "burst",
    target: { ...target, headers: { ...target.headers, "x-amz-log-type": "Tail" } },
    requests: 1,
  });
  const [took = Number.NaN] = answered(outcome, `the first invocation of ${functionName}`);
  return { milliseconds: took, outcome, stages: reported(outcome.logs[0] ?? "") };
}

/** Measures the rows of P2 and P3. */
export async function cold(site: Site, size: Size, note: (line: string) => void): Promise<Findings> {
  const all = await gateways();
  await plainDeployment(site);
  const deployment: number[] = [];
  const { starts, misses } = await withPools((pools) => fromPools(site, size, all, pools, note));
  const empty = await withoutPool(site, size, all, deployment, note);
  await removeFunctions();
  const times = (runtime: Measured) => starts[runtime].map((start) => start.milliseconds);
  const node = median(times("nodejs24.x"));
  return {
    rows: [...RUNTIMES.flatMap((runtime) => poolRows(runtime, times(runtime), deployment)), ...emptyRows(empty, node, deployment)],
    series: [
      ...RUNTIMES.map((runtime): Series => ({ name: runtime, group: "P2 cold start from the pool", milliseconds: times(runtime) })),
      { name: "Kappa, empty pool", group: "P3 cold start without a pool", milliseconds: empty.kappa },
      { name: "the pod's process", group: "P3 cold start without a pool", milliseconds: empty.kubernetes },
      { name: "Deployment 0 to 1", group: "P3 cold start without a pool", milliseconds: deployment },
    ],
    notes: stagesText(starts, misses),
  };
}

type Starts = Record<Measured, ColdStart[]>;

/** In turn for each runtime; each waits until all pools are full again and nothing starts. */
async function fromPools(
  site: Site,
  { coldStarts }: Size,
  all: readonly Gateway[],
  pools: Pools,
  note: (line: string) => void,
): Promise<{ starts: Starts; misses: number }> {
  const starts: Starts = { "python3.11": [], "nodejs24.x": [], "nodejs22.x": [], java17: [] };
  const nameOf = (runtime: Measured, i: number) => `cold-${runtime.replaceAll(".", "-")}-${i}`;
  const indices = Array.from({ length: coldStarts }, (_, i) => i);
  for (const runtime of RUNTIMES) {
    const names = indices.map((i) => nameOf(runtime, i));
    await makeFunctions(await idleFunctions(runtime, names));
  }
  note(`${coldStarts} functions of each of ${RUNTIMES.join(", ")} are ready`);
  const before = await pools.misses();
  for (const i of indices) {
    for (const runtime of RUNTIMES) {
      await pools.full(runtime, RUNTIMES);
      const name = nameOf(runtime, i);
      starts[runtime].push(await coldStart(site, all, name));
      await site.api.remove(`/apis/kappa.dev/v1alpha1/namespaces/${NAMESPACE}/functions/${name}`);
    }
    if ((i + 1) % 5 === 0)
      note(
        `${i + 1} of ${coldStarts}: p50 ${RUNTIMES.map((r) => `${r} ${median(starts[r].map((s) => s.milliseconds)).toFixed(1)}`).join(", ")}`,
      );
  }
  return { starts, misses: (await pools.misses()) - before };
}

interface Empty {
  kappa: number[];
  kubernetes: number[];
}

async function withoutPool(
  site: Site,
  { emptyStarts }: Size,
  all: readonly Gateway[],
  deployment: number[],
  note: (line: string) => void,
): Promise<Empty> {
  const empty: Empty = { kappa: [], kubernetes: [] };
  const names = Array.from({ length: emptyStarts }, (_, i) => `empty-${i}`);
  await makeFunctions(await idleFunctions("nodejs24.x", names, TOO_LARGE));
  for (const [i, name] of names.entries()) {
    empty.kappa.push((await coldStart(site, all, name)).milliseconds);
    const model = await podOf(site, name);
    await site.api.remove(`/apis/kappa.dev/v1alpha1/namespaces/${NAMESPACE}/functions/${name}`);
    await settled();
    empty.kubernetes.push(await podStart(site.api, model, `start-${i}`));
    await settled();
    deployment.push(await scaledUp(site));
    await settled();
    note(
      `${i + 1} of ${emptyStarts}: Kappa ${last(empty.kappa)} ms, the pod's process ${last(empty.kubernetes)} ms, a Deployment ${last(deployment)} ms`,
    );
  }
  return empty;
}

const last = (values: readonly number[]): string => (values.at(-1) ?? Number.NaN).toFixed(0);

/** What was ended is still taken down for a while. */
export const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2_000));

async function podOf(site: Site, functionName: string): Promise<EnvironmentPod> {
  const found = (await environments(site.api)).find((pod) => isOf(pod, functionName));
  if (found === undefined) throw new Error(`${functionName} has answered and has no pod`);
  return found;
}

function poolRows(runtime: Measured, times: readonly number[], deployment: readonly number[]): Row[] {
  const { p50, p95 } = TARGETS[runtime];
  const of = summarise(times);
  const base = median(deployment);
  return [
    {
      id: `P2 ${runtime} p50`,
      what: `cold start from the pool, ${of.count} runs`,
      target: `≤ ${p50} ms`,
      measured: milliseconds(of.p50),
      peer: `Deployment 0 → 1 ${milliseconds(base)}`,
      ratio: of.p50 / base,
      rounds: times.map((time) => time / base),
      reached: of.p50 <= p50,
    },
    { id: `P2 ${runtime} p95`, what: "the same, p95", target: `≤ ${p95} ms`, measured: milliseconds(of.p95), reached: of.p95 <= p95 },
  ];
}

function emptyRows({ kappa, kubernetes }: Empty, fromPool: number, deployment: readonly number[]): Row[] {
  const limit = 1.2 * median(kubernetes) + fromPool;
  return [
    {
      id: "P3",
      what: `cold start with an empty pool, p50 of ${kappa.length} (nodejs24.x)`,
      target: `≤ 1.2 × the pod's process + P2: ${milliseconds(limit)}`,
      measured: milliseconds(median(kappa)),
      peer: `the same pod's process ${milliseconds(median(kubernetes))}`,
      ratio: median(ratios(kappa, kubernetes)),
      rounds: ratios(kappa, kubernetes),
      reached: median(kappa) <= limit,
    },
    {
      id: "P3b",
      what: "the same beside a plain Deployment scaled 0 → 1",
      target: "",
      measured: milliseconds(median(kappa)),
      peer: `Deployment ${milliseconds(median(deployment))}`,
      ratio: median(ratios(kappa, deployment)),
      rounds: ratios(kappa, deployment),
    },
  ];
}

function stagesText(starts: Starts, misses: number): string {
  const at = (values: readonly number[]) => {
    const ascending = sorted(values);
    return `${percentile(ascending, 50).toFixed(2)} / ${percentile(ascending, 95).toFixed(2)}`;
  };
  const lines = RUNTIMES.map((runtime) => {
    const known = starts[runtime].filter((start) => start.stages !== undefined);
    const init = known.map(({ stages }) => stages?.initDuration ?? 0);
    const handler = known.map(({ stages }) => stages?.duration ?? 0);
    const rest = known.map((start, i) => start.milliseconds - (init[i] ?? 0) - (handler[i] ?? 0));
    return [runtime, at(known.map((start) => start.milliseconds)), at(init), at(handler), at(rest)];
  });
  return [
    "## Where the time of a cold start goes",
    "",
    "Milliseconds, p50 / p95. Initialisation is from the order to the zygote until the runtime asks for its first event, the handler from then until its answer, both as the function's own REPORT line has them; the rest is the gateway, the package's way into the pod and the network.",
    "",
    table(["runtime", "first byte to last", "initialisation", "handler", "the rest"], "lrrrr", lines),
    "",
    misses === 0 ? "All environments came from the pools." : `${misses} environments were not from a pool (pods of its own were made).`,
  ].join("\n");
}
