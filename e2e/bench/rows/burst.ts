/** P4: many first requests to one function at the same moment. */
import { readFile } from "node:fs/promises";
import { filesCode, lambdaFunction } from "../../suites/runtimes/support/functions.ts";
import { type Findings, milliseconds, type Row, type Series } from "../report.ts";
import { invocation, NAMESPACE, type Site } from "../site.ts";
import type { Size } from "../sizes.ts";
import { summarise } from "../statistics.ts";
import { gateways, makeFunctions, ownerOf, removeFunctions } from "../targets/kappa.ts";
import { watched } from "../targets/pod-start.ts";
import { withPools } from "../targets/pools.ts";

/** Environments that are made too late would be seen by then. */
const WATCHED_MS = 10_000;
const LOOK_MS = 200;

/** Sends the bursts. A handler takes half a second, so that no environment can take the place of two. */
export async function bursts(site: Site, size: Size, note: (line: string) => void): Promise<Findings> {
  const all = await gateways();
  const code = filesCode({ "index.py": await readFile(new URL("../handlers/python/slow.py", import.meta.url), "utf8") });
  const [rows, series]: [Row[], Series[]] = [[], []];
  for (const requests of size.bursts) {
    const name = `burst-${requests}`;
    const object = lambdaFunction(name, "python3.11", "index.handler", code, { memorySize: 128, timeout: 60 });
    await makeFunctions([{ ...object, metadata: { name, namespace: NAMESPACE } }]);
    await withPools((pools) => pools.full("python3.11"));
    const { result: outcome, seen } = await watched(site.api, name, LOOK_MS, async () => {
      const target = invocation(site, ownerOf(all, name).address, name);
      const outcome = await site.load.run({ do: "burst", target, requests });
      await new Promise((resolve) => setTimeout(resolve, WATCHED_MS));
      return outcome;
    });
    const made = seen.uids.size;
    const errors = requests - (outcome.statuses[200] ?? 0);
    const surplus = Math.max(0, made - requests);
    const took = outcome.latencies.map((microseconds) => microseconds / 1000);
    const { p50, max } = summarise(took);
    note(`${requests} requests: ${errors} errors, ${made} environments, p50 ${milliseconds(p50)}, slowest ${milliseconds(max)}`);
    rows.push({
      id: `P4 ${requests}`,
      what: `burst of ${requests} first requests, a handler of 500 ms`,
      target: "0 errors, 0 surplus environments",
      measured: `${errors} errors${errors > 0 ? ` (${outcome.firstProblem ?? "no answer"})` : ""}, ${surplus} surplus (${made} made); p50 ${milliseconds(p50)}, slowest ${milliseconds(max)}`,
      reached: errors === 0 && surplus === 0,
    });
    series.push({ name: `burst of ${requests}`, group: "P4 bursts of first requests", milliseconds: took });
    await removeFunctions();
  }
  return { rows, series };
}
