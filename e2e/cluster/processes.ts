import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { isMissing } from "./files.ts";

/** A process as it was recorded when it was started: ids are used again, but not together with the same start time. */
export const ProcessId = z.object({
  pid: z.int().positive(),
  /** Field 22 of /proc/PID/stat: clock ticks from boot to the process' start. */
  startTime: z.string(),
});
export type ProcessId = z.infer<typeof ProcessId>;

/** Identifies a running process; undefined when there is none with this id. A zombie counts as gone. */
export async function identify(pid: number): Promise<ProcessId | undefined> {
  const stat = parseStat(await readProc(pid, "stat"));
  return stat === undefined || stat.state === "Z" || stat.state === "X" ? undefined : { pid, startTime: stat.startTime };
}

/** Whether the very process that was recorded still runs. */
export async function isRunning(recorded: ProcessId): Promise<boolean> {
  return (await identify(recorded.pid))?.startTime === recorded.startTime;
}

/** Ends a recorded process and waits until it is gone; a stranger that got its id is left alone. */
export async function end(recorded: ProcessId, signal: NodeJS.Signals = "SIGTERM", patienceMs = 5_000): Promise<void> {
  for (const kill of [signal, "SIGKILL"] as const) {
    if (!(await isRunning(recorded))) return;
    try {
      process.kill(recorded.pid, kill);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ESRCH") return;
      throw error;
    }
    const until = Date.now() + (kill === "SIGKILL" ? 60_000 : patienceMs);
    while (Date.now() < until) {
      if (!(await isRunning(recorded))) return;
      await sleep(50);
    }
  }
  throw new Error(`process ${recorded.pid} does not end`);
}

/** A process and what it was started with. */
export type ProcessInfo = ProcessId & { readonly commandLine: readonly string[] };

/** All processes of this PID namespace, as far as they can be read. */
export async function allProcesses(): Promise<ProcessInfo[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const id = await identify(pid);
      return id && { ...id, commandLine: (await readProc(pid, "cmdline")).split("\0").filter((word) => word !== "") };
    }),
  );
  return found.filter((info) => info !== undefined);
}

/** State and start time of a /proc/PID/stat line. The name in brackets may hold anything, so the fields are counted from the last bracket. */
export function parseStat(line: string): { state: string; startTime: string } | undefined {
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  const [state, startTime] = [fields[0], fields[19]]; // fields 3 and 22 of proc(5)
  return line === "" || state === undefined || startTime === undefined ? undefined : { state, startTime };
}

async function readProc(pid: number, file: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    if (isMissing(error) || (error instanceof Error && "code" in error && error.code === "ESRCH")) return "";
    throw error;
  }
}
