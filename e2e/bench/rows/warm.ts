/** P1: a warm synchronous invocation of a handler that does nothing. */
import type { Command, Target } from "../load/messages.ts";
import type { Findings, Row } from "../report.ts";
import { milliseconds } from "../report.ts";
import { invocation, type Site } from "../site.ts";
import type { Size } from "../sizes.ts";
import { median, medianDifference, ratios } from "../statistics.ts";
import { bareServer } from "../targets/bare.ts";
import { emulator } from "../targets/emulator.ts";
import {
  gateways,
  idleFunctions,
  makeFunctions,
  nameOwnedNearby,
  ownerOf,
  removeFunctions,
  startEnvironments,
  WITHOUT_POOL,
} from "../targets/kappa.ts";
import { watched } from "../targets/pod-start.ts";
import { inTurn, type Measured, oneClient } from "./rounds.ts";
import { cpuOfCalls } from "./warm-cpu.ts";
import { warmStages } from "./warm-stages.ts";

const CLIENTS = 20;
/** Environments that P1 has. */
const AT_ONCE = 4;
/** Looking at pods is not to be seen in what is measured. */
const LOOK_MS = 1_000;
/** Requests a second of the open loop: no contender is near its limit. */
const PER_SECOND = 200;

const p50 = ({ rounds }: Measured): number[] => rounds.map((round) => round.p50);
const p99 = ({ rounds }: Measured): number[] => rounds.map((round) => round.p99);

/** Measures the rows of P1. */
export async function warm(site: Site, size: Size, note: (line: string) => void): Promise<Findings> {
  const all = await gateways();
  const [name, small, shared] = [nameOwnedNearby(all, "warm"), nameOwnedNearby(all, "small"), nameOwnedNearby(all, "shared")];
  await makeFunctions([
    ...(await idleFunctions("nodejs24.x", [name])),
    ...(await idleFunctions("nodejs24.x", [small], { memorySize: 128 })),
    ...(await idleFunctions("nodejs24.x", [shared], WITHOUT_POOL)),
  ]);
  const owner = ownerOf(all, name);
  const other = all.find((gateway) => gateway !== owner);
  if (other === undefined) throw new Error("forwarding is measured with two gateways, and there is one");
  const at = (gateway: typeof owner, functionName = name, credentials?: Parameters<typeof invocation>[3]) =>
    invocation(site, gateway.address, functionName, credentials);
  const targets = {
    bare: await bareServer(site),
    emulator: await emulator(site),
    owner: at(owner),
    forwarded: at(other),
    signed: at(owner, name, site.key),
    small: at(owner, small),
  };
  await startEnvironments(site, targets.owner, AT_ONCE);

  note(`one client, closed loop; ${name} at its owner on ${owner.node}, forwarded by the gateway on ${other.node}`);
  const closed = await inTurn(
    site,
    size.rounds,
    each(targets, (target) => oneClient(target, size.roundMs)),
    note,
  );
  note(`${PER_SECOND} requests a second, open loop`);
  const { bare, emulator: aws, owner: kappa } = targets;
  const open = await inTurn(
    site,
    size.rounds,
    {
      bare: openLoop(bare, AT_ONCE, size.roundMs),
      // It ends when a second request comes before it has answered the first.
      emulator: openLoop(aws, 1, size.roundMs),
      owner: openLoop(kappa, AT_ONCE, size.roundMs),
    },
    note,
  );
  note(`${CLIENTS} clients of the bare server and of ${AT_ONCE} environments, and ${AT_ONCE} clients of both`);
  const closedLoop = (target: Target, clients: number): Command => ({ do: "closed", target, clients, milliseconds: size.roundMs });
  const few = at(owner, shared);
  await startEnvironments(site, few, AT_ONCE);
  const { result: many, seen } = await watched(site.api, shared, LOOK_MS, () =>
    inTurn(
      site,
      size.rounds,
      {
        bare: closedLoop(bare, CLIENTS),
        owner: closedLoop(few, CLIENTS),
        bareAtOnce: closedLoop(bare, AT_ONCE),
        ownerAtOnce: closedLoop(few, AT_ONCE),
      },
      note,
    ),
  );
  note("where the time and the CPU of a call go");
  const notes = [
    await warmStages(site, kappa, bare, size.roundMs),
    await cpuOfCalls(site, closedLoop(few, CLIENTS), closedLoop(bare, CLIENTS)),
  ].join("\n\n");
  await removeFunctions();
  return {
    rows: [...latencyRows(closed, open), ...rateRows(many, seen.counts)],
    series: [
      ...Object.entries(closed).map(([series, { all }]) => ({ name: series, group: "P1 one client, closed loop", milliseconds: all })),
      ...Object.entries(open).map(([series, { all }]) => ({ name: series, group: `P1 open loop, ${PER_SECOND}/s`, milliseconds: all })),
      { name: "owner", group: `P1 ${CLIENTS} clients, ${AT_ONCE} environments`, milliseconds: many.owner.all },
      { name: "bare", group: `P1 ${CLIENTS} clients, ${AT_ONCE} environments`, milliseconds: many.bare.all },
    ],
    notes,
  };
}

function each<Name extends string, T>(targets: Record<Name, Target>, make: (target: Target) => T): Record<Name, T> {
  return Object.fromEntries(Object.entries<Target>(targets).map(([name, target]) => [name, make(target)])) as Record<Name, T>;
}

const openLoop = (target: Target, connections: number, milliseconds: number): Command => ({
  do: "open",
  target,
  perSecond: PER_SECOND,
  milliseconds,
  connections,
});

type Closed = Record<"bare" | "emulator" | "owner" | "forwarded" | "signed" | "small", Measured>;
type Open = Record<"bare" | "emulator" | "owner", Measured>;

function latencyRows(closed: Closed, open: Open): Row[] {
  const { bare, emulator: aws, owner, forwarded, signed, small } = closed;
  const added = (id: string, what: string, limit: number, ours: number[], theirs: number[], name: string): Row => {
    const difference = medianDifference(ours, theirs);
    return {
      id,
      what,
      target: `≤ ${limit} ms more`,
      measured: `${milliseconds(median(ours))}, ${difference < 0 ? "−" : "+"}${milliseconds(Math.abs(difference))}`,
      peer: `${name} ${milliseconds(median(theirs))}`,
      ...ratio(ours, theirs),
      reached: difference <= limit,
    };
  };
  const below = (id: string, what: string, ours: number[], theirs: number[]): Row => ({
    id,
    what,
    target: "below the emulator",
    measured: milliseconds(median(ours)),
    peer: `emulator ${milliseconds(median(theirs))}`,
    ...ratio(ours, theirs),
    reached: median(ratios(ours, theirs)) < 1,
  });
  const smallest = median(p99(small));
  return [
    added("P1a", "warm at the owner, p50, one client", 0.5, p50(owner), p50(bare), "bare Node"),
    added("P1b", "the same, p99", 3, p99(owner), p99(bare), "bare Node"),
    added("P1c", `open loop ${PER_SECOND}/s, p50`, 0.5, p50(open.owner), p50(open.bare), "bare Node"),
    added("P1d", "the same, p99", 3, p99(open.owner), p99(open.bare), "bare Node"),
    below("P1e", "warm at the owner, p50, one client", p50(owner), p50(aws)),
    below("P1f", `open loop ${PER_SECOND}/s, p50`, p50(open.owner), p50(open.emulator)),
    added("P1g", "forwarded by another gateway, p50", 1, p50(forwarded), p50(owner), "at the owner"),
    added("P1h", "with Signature V4, p50", 0.3, p50(signed), p50(owner), "with a token"),
    {
      id: "P1i",
      what: "128 MB, back to back, p99",
      target: "≤ 20 ms",
      measured: milliseconds(smallest),
      peer: `1769 MB ${milliseconds(median(p99(owner)))}`,
      ...ratio(p99(small), p99(owner)),
      reached: smallest <= 20,
    },
  ];
}

type Many = Record<"bare" | "owner" | "bareAtOnce" | "ownerAtOnce", Measured>;

/** @param counts of environments while the rates were measured */
function rateRows(many: Many, counts: readonly number[]): Row[] {
  const rate = (id: string, what: string, ours: Measured, theirs: Measured, name: string): Row => {
    const each = ratios(ours.rates, theirs.rates);
    return {
      id,
      what,
      target: "",
      measured: `${median(ours.rates).toFixed(0)}/s`,
      peer: `${name} ${median(theirs.rates).toFixed(0)}/s`,
      ratio: median(each),
      rounds: each,
      higherIsBetter: true,
    };
  };
  const row = rate("P1j", `rate of ${CLIENTS} clients`, many.owner, many.bare, `bare Node, ${CLIENTS} clients`);
  const [fewest, most] = [Math.min(...counts), Math.max(...counts)];
  return [
    {
      ...row,
      what: `${row.what}, ${fewest === most ? most : `${fewest} to ${most}`} environments`,
      target: `≥ 0.17 ×, aim 0.2; ${AT_ONCE} environments`,
      reached: median(row.rounds ?? []) >= 0.17 && fewest === AT_ONCE && most === AT_ONCE,
    },
    rate("P1k", `the same, ${AT_ONCE} clients on both sides`, many.ownerAtOnce, many.bareAtOnce, `bare Node, ${AT_ONCE} clients`),
  ];
}

function ratio(ours: readonly number[], theirs: readonly number[]): { ratio: number; rounds: number[] } {
  const rounds = ratios(ours, theirs);
  return { ratio: median(rounds), rounds };
}
