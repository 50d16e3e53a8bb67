import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Capsule } from "./capsule.ts";
import { readIfThere, writeWhole } from "./files.ts";
import { ProcessId } from "./processes.ts";

/** What is recorded of the cluster, outside every checkout, so that any checkout can find, use and remove it. */
const State = z.object({
  /** Nothing of the cluster outlives a boot of the machine. */
  bootId: z.string(),
  engine: z.enum(["podman", "docker"]),
  /** What the cluster was made from; another key means that this checkout would make another one. */
  key: z.string(),
  ports: z.object({ api: z.number(), gateway: z.number(), spare: z.number() }),
  capsule: Capsule.optional(),
  /** Processes outside the capsule: relays, and with docker the internet's servers. */
  processes: z.array(ProcessId),
  /** Kernel settings that were raised, with the value to put back. */
  sysctls: z.record(z.string(), z.string()),
  /** Whether /lib/modules was made for the nodes to mount. */
  madeModulesFolder: z.boolean(),
  /** Set when `up` came to its end. */
  complete: z.boolean(),
});
export type State = z.infer<typeof State>;

const file = (stateDir: string) => join(stateDir, "state.json");

/** The recorded state; undefined when there is none or it cannot be read (it is then found and removed without its help). */
export async function readState(stateDir: string): Promise<State | undefined> {
  const text = await readIfThere(file(stateDir));
  if (text === undefined) return undefined;
  try {
    return State.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

export async function writeState(stateDir: string, state: State): Promise<void> {
  await writeWhole(file(stateDir), JSON.stringify(state, undefined, 2), 0o600);
}

export async function forgetState(stateDir: string): Promise<void> {
  await rm(file(stateDir), { force: true });
}

/** An id of the machine's current boot. */
export async function currentBoot(): Promise<string> {
  return (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
}
