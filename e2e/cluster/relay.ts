import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { hierarchies, joiningCgroup } from "./cgroups.ts";
import type { Engine } from "./engine.ts";
import type { Paths } from "./paths.ts";
import { identify, type ProcessId } from "./processes.ts";
import { waitFor } from "./run.ts";

/** The path socket that joins the two halves of a port's relay. */
export const relaySocket = (paths: Pick<Paths, "relays">, port: number) => join(paths.relays, `${port}.sock`);

/**
 * Makes a port that is published on the capsule's loopback answer on the host's loopback: a path socket crosses network namespaces, so one
 * socat on each side does it. Returns the host's one, which is a member of the cluster's cgroup too.
 */
export async function startRelay(engine: Engine, port: number, paths: Pick<Paths, "relays" | "logs" | "cgroup">): Promise<ProcessId> {
  const { relays: folder, logs, cgroup } = paths;
  await mkdir(folder, { recursive: true });
  const socket = relaySocket(paths, port);
  const log = join(logs, "relay.log");
  await rm(socket, { force: true });
  await engine.startInside(["socat", `UNIX-LISTEN:${socket},fork,backlog=512`, `TCP4:127.0.0.1:${port}`], log);
  const out = openSync(log, "a");
  const socat = ["socat", `TCP4-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork,backlog=512`, `UNIX-CONNECT:${socket}`];
  const child = spawn("sh", [...joiningCgroup(await hierarchies(), cgroup), ...socat], {
    cwd: "/",
    detached: true,
    stdio: ["ignore", out, out],
  });
  closeSync(out);
  child.unref();
  const pid = child.pid;
  if (pid === undefined) throw new Error("socat could not be started");
  return waitFor(`the relay of port ${port}`, 5_000, () => identify(pid), 50);
}
