import type { Server } from "node:net";

/**
 * How a silent connection is kept: an invocation may say nothing for fifteen minutes, and what lies between forgets a connection
 * sooner (a NAT or load balancer after four to six minutes). Node's own probes, ten of them a second apart, would give a caller up
 * after an outage of ten seconds; these do after five minutes. All milliseconds.
 */
const PROBES = { enable: true, initialDelay: 60_000, interval: 30_000, count: 8 };

/** Has every connection to a server probed while it is silent. */
export function keepConnections(server: Server): void {
  server.on("connection", (socket) => socket.setKeepAlive(PROBES));
}
