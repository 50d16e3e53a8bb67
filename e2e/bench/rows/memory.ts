/** P8: memory of the agents and of a gateway. */

import { type Process, partOf, processes } from "../processes.ts";
import type { Findings, Row } from "../report.ts";
import { invocation, type Site } from "../site.ts";
import type { Size } from "../sizes.ts";
import { median } from "../statistics.ts";
import { gateways, idleFunctions, makeFunctions, ownerOf, removeFunctions } from "../targets/kappa.ts";
import { type EnvironmentPod, environments, isOf } from "../targets/pod-start.ts";

const CALLS = 500;
/** For what is garbage to be collected. */
const SETTLE_MS = 15_000;

/** Weighs the processes. */
export async function memory(site: Site, size: Size, note: (line: string) => void): Promise<Findings> {
  const all = await gateways();
  const names = ["weighed-0", "weighed-1"];
  await makeFunctions(await idleFunctions("nodejs24.x", names));
  for (const name of names) {
    const target = invocation(site, ownerOf(all, name).address, name);
    await site.load.run({ do: "closed", target, clients: 1, milliseconds: 60_000, requests: CALLS });
  }
  await settle();
  const pods = await environments(site.api);
  const agents = (await processes()).filter((process) => partOf(process) === "agent");
  const weigh = (which: (pod: EnvironmentPod) => boolean) => {
    const uids = new Set(pods.filter(which).map((pod) => pod.metadata.uid));
    return agents.filter((agent) => belongs(agent, uids)).map((agent) => agent.anonymousBytes);
  };
  const own = weigh((pod) => names.some((name) => isOf(pod, name)));
  const waiting = weigh((pod) => !names.some((name) => isOf(pod, name)));
  if (own.length < names.length) throw new Error(`of ${names.length} agents ${own.length} were found`);
  note(`${own.length} agents: ${own.map(megabytes).join(", ")}; in pools ${waiting.map(megabytes).join(", ")}`);
  const rows: Row[] = [
    {
      id: "P8a",
      what: `agent after ${CALLS} events, private memory, median of ${own.length}`,
      target: "≤ 20 MB",
      measured: `${megabytes(median(own))}, at most ${megabytes(Math.max(...own))}`,
      reached: median(own) <= 20 * MB,
    },
  ];
  if (size.functions > 0) rows.push(await weighGateways(size.functions, note));
  await removeFunctions();
  return { rows, series: [] };
}

async function weighGateways(count: number, note: (line: string) => void): Promise<Row> {
  const many = Array.from({ length: count }, (_, i) => `many-${i}`);
  await makeFunctions(await idleFunctions("nodejs24.x", many));
  note(`${count} functions are ready`);
  await settle();
  const found = (await processes()).filter((process) => partOf(process) === "gateway");
  const resident = found.map((gateway) => gateway.residentBytes);
  return {
    id: "P8b",
    what: `gateway with ${count} functions, resident memory, larger of ${found.length}`,
    target: "≤ 150 MB",
    measured: `${megabytes(Math.max(...resident))}, of it private ${megabytes(Math.max(...found.map((gateway) => gateway.anonymousBytes)))}`,
    reached: Math.max(...resident) <= 150 * MB,
  };
}

const MB = 1_000_000;
const megabytes = (bytes: number): string => `${(bytes / MB).toFixed(1)} MB`;
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

/** Kubelets write a pod's UID into its cgroup's path, with hyphens or, under systemd, underscores. */
const belongs = ({ cgroup }: Process, uids: ReadonlySet<string>): boolean =>
  [...uids].some((uid) => cgroup.includes(uid) || cgroup.includes(uid.replaceAll("-", "_")));
