import { link, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ClusterError } from "./failure.ts";
import { readIfThere } from "./files.ts";
import { identify, isRunning, ProcessId } from "./processes.ts";

/** Runs work that changes what is in a folder (`what`, for the message) while nobody else does. A lock whose holder has died counts as free. */
export async function withLock<T>(folder: string, work: () => Promise<T>, what = "the cluster"): Promise<T> {
  const file = join(folder, "lock");
  await mkdir(folder, { recursive: true });
  const me = await identify(process.pid);
  const mine = `${file}.${process.pid}`;
  await writeFile(mine, JSON.stringify(me));
  try {
    // link(2) fails where the file is there already: nobody ever sees half a lock.
    while (!(await linked(mine, file))) {
      const holder = await holderOf(file);
      if (holder && (await isRunning(holder))) {
        throw new ClusterError(
          `process ${holder.pid} is changing ${what} at this moment`,
          `wait until it is done, or end it (kill ${holder.pid}), and run it again`,
        );
      }
      await rm(file, { force: true });
    }
  } finally {
    await rm(mine, { force: true });
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

async function holderOf(file: string): Promise<ProcessId | undefined> {
  try {
    return ProcessId.parse(JSON.parse((await readIfThere(file)) ?? ""));
  } catch {
    return undefined;
  }
}
