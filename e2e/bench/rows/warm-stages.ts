/** Where the time of a warm call goes, by what each part that it passes says itself. */
import { withGateways } from "../../suites/support/gateways.ts";
import { answered } from "../load/client.ts";
import type { Target } from "../load/messages.ts";
import { table } from "../report.ts";
import type { Site } from "../site.ts";
import { meanAndSpread, median } from "../statistics.ts";
import { reported } from "./report-line.ts";

/** As many calls as are looked at: each brings the end of its log. */
const CALLS = 1_000;

/** What was measured of warm calls, in milliseconds. */
export interface WarmCalls {
  /** From the first byte to the last, at the client. */
  whole: readonly number[];
  /** Durations of the REPORT lines. */
  handler: readonly number[];
  /** The gateway's own measure, of which it only keeps a sum: the mean. */
  kappaMean: number;
  /** Of a bare server, from the first byte to the last. */
  bare: readonly number[];
}

/** Measures some calls and tells of them in Markdown. */
export async function warmStages({ load }: Site, target: Target, bare: Target, limitMs: number): Promise<string> {
  const tail = { ...target, headers: { ...target.headers, "x-amz-log-type": "Tail" } };
  const oneClient = { do: "closed", clients: 1, milliseconds: 2 * limitMs, requests: CALLS } as const;
  const calls = await withGateways(async (gateways) => {
    const total = async (metric: string) =>
      (await Promise.all(gateways.map((gateway) => gateway.metric(metric)))).reduce((sum, value) => sum + value, 0);
    const measured = async () => [await total("kappa_overhead_seconds_sum"), await total("kappa_overhead_seconds_count")] as const;
    const bareOutcome = await load.run({ ...oneClient, target: bare });
    const before = await measured();
    const outcome = await load.run({ ...oneClient, target: tail });
    const after = await measured();
    return {
      whole: answered(outcome, "warm calls with their logs"),
      handler: outcome.logs.map((log) => reported(log)?.duration).filter((duration) => duration !== undefined),
      kappaMean: ((after[0] - before[0]) / (after[1] - before[1])) * 1000,
      bare: answered(bareOutcome, "bare Node"),
    };
  });
  return warmStagesText(calls);
}

/** Means, since they add up. Pure. */
export function warmStagesText({ whole, handler, kappaMean, bare }: WarmCalls): string {
  if (handler.length !== whole.length)
    throw new Error(`of ${whole.length} warm calls ${handler.length} told in their logs how long they took`);
  const mean = (values: readonly number[]) => meanAndSpread(values).mean;
  const rest = mean(whole) - mean(handler) - kappaMean;
  const line = (name: string, ms: number, values?: readonly number[]) => [name, ms.toFixed(3), values ? median(values).toFixed(3) : ""];
  return [
    "## Where the time of a warm call goes",
    "",
    `${whole.length} calls at the owner by one client, milliseconds. Each brings its REPORT line (LogType Tail), from which the handler's time is; gateway and agent are \`kappa_overhead_seconds\` of the same calls; the rest is the network and what client and gateway do with HTTP before a request has arrived and after its answer has left. Bare Node's calls were measured right before.`,
    "",
    table(["stage", "mean", "p50"], "lrr", [
      line("client, first byte to last", mean(whole), whole),
      line("handler, with the runtime's own HTTP", mean(handler), handler),
      line("gateway and agent", kappaMean),
      line("the rest", rest),
      line("bare Node, first byte to last", mean(bare), bare),
    ]),
  ].join("\n");
}
