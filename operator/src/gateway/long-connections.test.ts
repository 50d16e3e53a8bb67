import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { expect, test } from "vitest";
import { listen } from "./long-connections.ts";

/** What the kernel will do next for a connection: 2 is a probe of a silent one (proc_net_tcp, `tr`). */
async function timerOf(localPort: number, remotePort: number): Promise<number | undefined> {
  const hex = (port: number) => port.toString(16).toUpperCase().padStart(4, "0");
  for (const line of (await readFile("/proc/net/tcp", "utf8")).split("\n")) {
    const [, local = "", remote = "", , , timer = ""] = line.trim().split(/\s+/);
    if (local.endsWith(`:${hex(localPort)}`) && remote.endsWith(`:${hex(remotePort)}`)) return Number.parseInt(timer, 16);
  }
  return undefined;
}

test("a silent connection is probed, so that nothing in between forgets it", async () => {
  const server = createServer();
  const port = await listen(server, 0, "127.0.0.1");
  const accepted = once(server, "connection");
  const client = connect(port, "127.0.0.1");
  await Promise.all([accepted, once(client, "connect")]);
  expect(await timerOf(port, client.localPort ?? 0)).toBe(2);
  expect(await timerOf(client.localPort ?? 0, port)).toBe(0);
  client.destroy();
  server.close();
});
