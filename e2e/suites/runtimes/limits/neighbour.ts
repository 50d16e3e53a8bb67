/** A function beside the one that misbehaves, and the nodes under both: what must not notice anything. */
import { expect } from "vitest";
import { environmentPods, kubectlJson, type Pod, settledPods } from "../../support/cluster.ts";
import { invoke, lambdaClient } from "../../support/lambda.ts";

/** A handler that costs nothing, so that what is measured is how long it waits. */
export const NEIGHBOUR_SOURCE = "def handler(event, context):\n    return event['n']\n";

/** Pause between two calls: steady traffic, and time for others. */
const PAUSE_MS = 20;
/** Calls before the abuse: enough for a median. */
const BASELINE_CALLS = 100;
/** Calls from the abuse's beginning on, though it were over sooner. */
const LEAST_CALLS = 20;

/**
 * What the neighbour may become slower by. A machine with two processors has less than one left beside a spin, which other work on it
 * doubles at worst; a bomb that was given all of them, or a node that swaps or runs out of processes, costs seconds or errors.
 */
const MEDIAN_RATIO = 10;
const MEDIAN_FLOOR_MS = 100;
const WORST_MS = 5_000;

interface Latencies {
  median: number;
  worst: number;
  calls: number;
}

/** Calls `neighbour` steadily, first alone, then while `abuse` runs, and compares. Resolves to what the abuse gave. */
export async function besideNeighbour<T>(neighbour: string, abuse: () => Promise<T>): Promise<T> {
  const client = lambdaClient(1);
  const times: number[] = [];
  const call = async (n: number): Promise<void> => {
    const start = performance.now();
    expect((await invoke(client, neighbour, { n })).payload, "the neighbour's answer").toBe(n);
    times.push(performance.now() - start);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  };
  await call(0);
  times.length = 0;
  const pods = identities(await settledPods(neighbour));
  const nodes = await conditions();
  for (let n = 1; n <= BASELINE_CALLS; n++) await call(n);
  const before = latencies(times.splice(0));

  let over = false;
  const abused = abuse().finally(() => {
    over = true;
  });
  const steady = async (): Promise<void> => {
    for (let n = 1; !over || n <= LEAST_CALLS; n++) await call(n);
  };
  const [result] = await Promise.all([abused, steady()]);
  const during = latencies(times);

  const measured = `alone: ${describe(before)}; beside the abuse: ${describe(during)}`;
  expect(during.median, measured).toBeLessThan(Math.max(MEDIAN_FLOOR_MS, before.median * MEDIAN_RATIO));
  expect(during.worst, measured).toBeLessThan(WORST_MS);
  expect(identities(await environmentPods(neighbour)), "the neighbour's pods").toEqual(pods);
  expect(await conditions(), "the nodes' conditions").toEqual(nodes);
  return result;
}

function latencies(times: number[]): Latencies {
  const sorted = times.toSorted((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)] ?? Number.NaN, worst: sorted.at(-1) ?? Number.NaN, calls: sorted.length };
}

const describe = ({ median, worst, calls }: Latencies): string =>
  `median ${median.toFixed(1)} ms, worst ${worst.toFixed(0)} ms of ${calls} calls`;

function identities(pods: Pod[]): unknown {
  return pods.map(({ metadata, status }) => ({
    uid: metadata.uid,
    phase: status.phase,
    restarts: status.containerStatuses?.map(({ restartCount }) => restartCount),
  }));
}

interface Node {
  metadata: { name: string };
  status: { conditions: { type: string; status: string; lastTransitionTime: string }[] };
}

/** With the time of the last change, so that a pressure that came and went is seen. */
async function conditions(): Promise<unknown> {
  const { items } = await kubectlJson<{ items: Node[] }>("get", "nodes");
  return items.map(({ metadata, status }) => [
    metadata.name,
    ...status.conditions.map((condition) => `${condition.type}=${condition.status} since ${condition.lastTransitionTime}`),
  ]);
}
