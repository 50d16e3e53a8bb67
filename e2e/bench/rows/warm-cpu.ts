/** Where the CPU of a warm call goes, by what the kernel says of each process. */
import { answered } from "../load/client.ts";
import type { Command } from "../load/messages.ts";
import { cpuPerCall, processes } from "../processes.ts";
import { table } from "../report.ts";
import type { Site } from "../site.ts";

/** Microseconds of CPU for each call, by part. */
type PerCall = ReturnType<typeof cpuPerCall>;

/** Carries out one command for Kappa and one for the bare server and tells in Markdown what each part used meanwhile. */
export async function cpuOfCalls({ load }: Site, kappa: Command, bare: Command): Promise<string> {
  const measured = async (command: Command, what: string): Promise<{ parts: PerCall; perSecond: number }> => {
    const before = await processes();
    const outcome = await load.run(command);
    const after = await processes();
    const calls = answered(outcome, what).length;
    return { parts: cpuPerCall(before, after, calls), perSecond: (1000 * calls) / (outcome.endedAt - outcome.startedAt) };
  };
  const ours = await measured(kappa, "calls of which the CPU is counted");
  const theirs = await measured(bare, "calls of the bare server of which the CPU is counted");
  return cpuText(ours, theirs);
}

/** Pure. */
export function cpuText(ours: { parts: PerCall; perSecond: number }, theirs: { parts: PerCall; perSecond: number }): string {
  const lines = ({ parts }: { parts: PerCall }, of: string) =>
    [...parts]
      .filter(([, { user, system }]) => user + system >= 1)
      .sort(([, a], [, b]) => b.user + b.system - a.user - a.system)
      .map(([part, { user, system }]) => [of, part, user.toFixed(0), system.toFixed(0), (user + system).toFixed(0)]);
  return [
    "## Where the CPU of a warm call goes",
    "",
    `Microseconds of CPU for each call, from /proc before and after one round of P1j: Kappa ${ours.perSecond.toFixed(0)}/s, bare Node ${theirs.perSecond.toFixed(0)}/s. Processes that do little for a call, and what the kernel does for none of them (network interrupts), are not in it.`,
    "",
    table(["calls of", "part", "user", "system", "together"], "llrrr", [...lines(ours, "Kappa"), ...lines(theirs, "bare Node")]),
  ].join("\n");
}
