/** P1, P2 and P3 beside Knative Serving, called through its activator: comparisons, not targets. */

import { answered } from "../load/client.ts";
import type { Command, Target } from "../load/messages.ts";
import { type Findings, milliseconds, type Row } from "../report.ts";
import { invocation, type Site } from "../site.ts";
import type { Size } from "../sizes.ts";
import { median, medianDifference, ratios } from "../statistics.ts";
import { bareServer } from "../targets/bare.ts";
import {
  type Gateway,
  gateways,
  idleFunctions,
  makeFunctions,
  nameOwnedNearby,
  ownerOf,
  removeFunctions,
  startEnvironments,
  WITHOUT_POOL,
} from "../targets/kappa.ts";
import { type Knative, withKnative } from "../targets/knative.ts";
import { type Pools, withPools } from "../targets/pools.ts";
import { coldStart, settled, TOO_LARGE } from "./cold.ts";
import { inTurn, type Measured, oneClient } from "./rounds.ts";

const RUNTIME = "nodejs24.x";
const CLIENTS = 20;
/** As in P1. Knative has one pod, which takes all requests at once. */
const ENVIRONMENTS = 4;

type Contenders = Record<"bare" | "kappa" | "knative", Measured>;

/** Measures the rows that have Knative as their peer. */
export async function knative(site: Site, size: Size, note: (line: string) => void): Promise<Findings> {
  const findings = await withKnative(site, size.emptyStarts, note, async (peer) => {
    const all = await gateways();
    const { one, many } = await warm(site, size, all, peer, note);
    const starts = await withPools((pools) => cold(site, all, peer, pools, note));
    return {
      rows: [...warmRows(one, many), ...coldRows(starts)],
      series: [
        ...Object.entries(one).map(([name, { all }]) => ({ name, group: "P1 beside Knative, one client", milliseconds: all })),
        ...Object.entries(starts.times).map(([name, all]) => ({ name, group: "P2 and P3 beside Knative", milliseconds: all })),
      ],
    };
  });
  await removeFunctions();
  return findings;
}

async function warm(
  site: Site,
  size: Size,
  all: readonly Gateway[],
  peer: Knative,
  note: (line: string) => void,
): Promise<{ one: Contenders; many: Contenders }> {
  const name = nameOwnedNearby(all, "beside");
  await makeFunctions(await idleFunctions(RUNTIME, [name], WITHOUT_POOL));
  const targets = { bare: await bareServer(site), kappa: invocation(site, ownerOf(all, name).address, name), knative: peer.warm };
  await startEnvironments(site, targets.kappa, ENVIRONMENTS);
  const each = (make: (target: Target) => Command) => ({
    bare: make(targets.bare),
    kappa: make(targets.kappa),
    knative: make(targets.knative),
  });
  const one = each((target) => oneClient(target, size.roundMs));
  const many = each((target) => ({ do: "closed", target, clients: CLIENTS, milliseconds: size.roundMs }));
  return { one: await inTurn(site, size.rounds, one, note), many: await inTurn(site, size.rounds, many, note) };
}

interface Starts {
  times: Record<"Kappa, from the pool" | "Kappa, empty pool" | "Knative 0 to 1", number[]>;
  /** First requests of Knative without an answer of its function. */
  failed: number;
}

async function cold(site: Site, all: readonly Gateway[], { cold }: Knative, pools: Pools, note: (line: string) => void): Promise<Starts> {
  const times: Starts["times"] = { "Kappa, from the pool": [], "Kappa, empty pool": [], "Knative 0 to 1": [] };
  let failed = 0;
  const names = (prefix: string) => cold.map((_, i) => `beside-${prefix}-${i}`);
  const [pooled, empty] = [names("pool"), names("empty")];
  await makeFunctions([...(await idleFunctions(RUNTIME, pooled)), ...(await idleFunctions(RUNTIME, empty, TOO_LARGE))]);
  for (const name of pooled) {
    await pools.full(RUNTIME);
    times["Kappa, from the pool"].push((await coldStart(site, all, name)).milliseconds);
  }
  // What fills the pool up again would be in the way of those that start without one.
  await pools.full(RUNTIME);
  for (const [i, target] of cold.entries()) {
    times["Kappa, empty pool"].push((await coldStart(site, all, empty[i] ?? "")).milliseconds);
    await settled();
    const outcome = await site.load.run({ do: "burst", target, requests: 1 });
    // What its activator gave up is counted, and no reason to know nothing of the others.
    if (outcome.statuses[200] === 1) times["Knative 0 to 1"].push(...answered(outcome, "Knative's first request"));
    else failed++;
    await settled();
    note(
      `${i + 1} of ${cold.length}: ${Object.entries(times)
        .map(([name, all]) => `${name} ${all.at(-1)?.toFixed(0)} ms`)
        .join(", ")}`,
    );
  }
  return { times, failed };
}

function warmRows(one: Contenders, many: Contenders): Row[] {
  const p50 = ({ rounds }: Measured) => rounds.map((round) => round.p50);
  const added = (ours: Measured) => `${milliseconds(median(p50(ours)))}, +${milliseconds(medianDifference(p50(ours), p50(one.bare)))}`;
  const ofBare = (ours: Measured) => `${median(ours.rates).toFixed(0)}/s, ${median(ratios(ours.rates, many.bare.rates)).toFixed(2)} ×`;
  const [latency, rate] = [ratios(p50(one.kappa), p50(one.knative)), ratios(many.kappa.rates, many.knative.rates)];
  return [
    {
      id: "P1m Knative",
      what: "warm, p50, one client, and what it has over bare Node",
      target: "",
      measured: added(one.kappa),
      peer: `Knative ${added(one.knative)}`,
      ratio: median(latency),
      rounds: latency,
    },
    {
      id: "P1n Knative",
      what: `rate of ${CLIENTS} clients, and what it is of bare Node's`,
      target: "",
      measured: ofBare(many.kappa),
      peer: `Knative ${ofBare(many.knative)}`,
      ratio: median(rate),
      rounds: rate,
      higherIsBetter: true,
    },
  ];
}

function coldRows({ times, failed }: Starts): Row[] {
  const theirs = times["Knative 0 to 1"];
  const unanswered = failed === 0 ? "" : `, and ${failed} without an answer`;
  const row = (id: string, what: string, ours: readonly number[]): Row => {
    return {
      id,
      what: `${what}, p50 of ${ours.length} (${RUNTIME})`,
      target: "",
      measured: milliseconds(median(ours)),
      peer: `Knative 0 → 1 ${milliseconds(median(theirs))} (${theirs.length}${unanswered})`,
      ratio: median(ours) / median(theirs),
    };
  };
  return [
    row("P2 Knative", "cold start from the pool", times["Kappa, from the pool"]),
    row("P3c Knative", "cold start with an empty pool", times["Kappa, empty pool"]),
  ];
}
