/** P7: what invocations ask of the API server, by its own audit log. */
import { type ApiRequest, byKappa, isWrite, requests } from "../audit.ts";
import type { Findings } from "../report.ts";
import { invocation, NAMESPACE, type Site } from "../site.ts";
import type { Size } from "../sizes.ts";
import { gateways, idleFunctions, makeFunctions, ownerOf, removeFunctions } from "../targets/kappa.ts";
import { environments, isOf } from "../targets/pod-start.ts";
import { withPools } from "../targets/pools.ts";
import { type ColdStart, coldStart } from "./cold.ts";

const ASSIGNMENTS = 10;
/** After an assignment all its writes have been sent. */
const WRITTEN_MS = 3_000;
/** The API server writes its log in batches. */
const LOGGED_MS = 2_000;
const CLIENTS = 4;

/** Counts requests. */
export async function quiet(site: Site, size: Size, note: (line: string) => void): Promise<Findings> {
  const all = await gateways();
  const names = Array.from({ length: ASSIGNMENTS }, (_, i) => `quiet-${i}`);
  await makeFunctions(await idleFunctions("python3.11", names));
  const started: { start: ColdStart; writes: ApiRequest[] }[] = [];
  await withPools(async (pools) => {
    for (const name of names) {
      await pools.full("python3.11");
      const start = await coldStart(site, all, name);
      await pause(WRITTEN_MS + LOGGED_MS);
      const pod = (await environments(site.api)).find((one) => isOf(one, name));
      if (pod === undefined) throw new Error(`${name} has answered and has no pod`);
      // Now, while they are in the log: it is rotated.
      started.push({ start, writes: writesFor(start, [pod.metadata.name, name]) });
    }
  });
  note(`${ASSIGNMENTS} environments were assigned`);
  const [name = ""] = names;
  const target = invocation(site, ownerOf(all, name).address, name);
  await site.load.run({ do: "closed", target, clients: CLIENTS, milliseconds: 10_000 });
  await pause(LOGGED_MS);
  const outcome = await site.load.run({ do: "closed", target, clients: CLIENTS, milliseconds: 300_000, requests: size.quietCalls });
  await pause(LOGGED_MS);
  const inBench = ({ namespace }: ApiRequest) => namespace === NAMESPACE || namespace === undefined;
  const asked = byKappa(requests(outcome.startedAt, outcome.endedAt)).filter(inBench);
  const counts = started.map(({ writes }) => writes.length);
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const early = started.filter(({ start, writes }) => isEarly(start, writes));
  await removeFunctions();
  const calls = outcome.latencies.length;
  const kinds = [...Map.groupBy(asked, ({ verb, resource }) => `${verb} ${resource}`)].map(([kind, list]) => `${list.length} × ${kind}`);
  return {
    rows: [
      {
        id: "P7a",
        what: `API requests by Kappa's identities while ${calls} warm invocations ran`,
        target: "0 for each",
        measured: `${(asked.length / calls).toFixed(5)} (${asked.length} in all${asked.length > 0 ? `, by the clock: ${kinds.join(", ")}` : ""})`,
        reached: asked.length / calls < 0.001,
      },
      {
        id: "P7b",
        what: `writes for each of ${started.length} assignments`,
        target: "≤ 2, none awaited",
        measured: `${most} at most; answered before the last write was done in ${early.length} of ${started.length}`,
        // An assignment without a write was not seen.
        reached: least > 0 && most <= 2 && early.length === started.length,
      },
    ],
    series: [],
    notes: `P7b, the writes of the first assignment: ${(started[0]?.writes ?? []).map(({ verb, resource, subresource }) => `${verb} ${resource}${subresource === undefined ? "" : `/${subresource}`}`).join(", ")}.`,
  };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Writes about one assignment: to the pod that was taken, or to the function. */
function writesFor({ outcome }: ColdStart, names: readonly string[]): ApiRequest[] {
  const all = byKappa(requests(outcome.startedAt, outcome.endedAt + WRITTEN_MS));
  return all.filter((request) => isWrite(request) && names.includes(request.name ?? ""));
}

/** Whether the answer had left before all writes were done. */
const isEarly = ({ outcome }: ColdStart, writes: readonly ApiRequest[]): boolean =>
  writes.some(({ answeredAt }) => answeredAt > outcome.endedAt);
