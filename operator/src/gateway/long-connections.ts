import { once } from "node:events";
import type { AddressInfo, Server } from "node:net";

/**
 * How a silent connection is kept: an invocation may say nothing for fifteen minutes, and what lies between forgets a connection
 * sooner (a NAT or load balancer after four to six minutes). Node's own probes, ten of them a second apart, would give a caller up
 * after an outage of ten seconds; these do after five minutes. All milliseconds.
 */
const PROBES = { enable: true, initialDelay: 60_000, interval: 30_000, count: 8 };

/** Listens, and has every connection probed while it is silent. Returns the port. */
export async function listen(server: Server, port: number, host: string | undefined): Promise<number> {
  server.on("connection", (socket) => socket.setKeepAlive(PROBES));
  await once(server.listen(port, host), "listening");
  return (server.address() as AddressInfo).port;
}
