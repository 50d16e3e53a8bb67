/** Forwarding against a real server in the owner's place, where the caller or the owner does what real ones rarely do. */
import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Pool } from "undici";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createGatewayMetrics } from "../telemetry/gateway-metrics.ts";
import { createLogger } from "../telemetry/log.ts";
import { NOT_OWNER_STATUS } from "./answer.ts";
import { Forwarder, type ForwardOutcome } from "./forwarder.ts";
import type { Peers } from "./peers.ts";

let owner: Server;
let callers: Server;
let pool: Pool;
beforeEach(async () => {
  [owner, callers] = [createServer(), createServer()];
  await Promise.all([owner, callers].map((server) => once(server.listen(0, "127.0.0.1"), "listening")));
  pool = new Pool(`http://127.0.0.1:${portOf(owner)}`);
});
afterEach(async () => {
  await pool.destroy();
  for (const server of [owner, callers]) {
    server.closeAllConnections();
    server.close();
  }
});

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

/** A caller's request that was not answered yet. */
async function called(): Promise<{ response: ServerResponse; leave: () => void }> {
  const asked = once(callers, "request") as Promise<[IncomingMessage, ServerResponse]>;
  const sent = request({ port: portOf(callers), host: "127.0.0.1", method: "POST" });
  sent.on("error", () => {});
  sent.end();
  const [, response] = await asked;
  return { response, leave: () => sent.destroy() };
}

function forward(response: ServerResponse): ForwardOutcome[] {
  const outcomes: ForwardOutcome[] = [];
  const peers = { pool: () => pool } as Pick<Peers, "pool"> as Peers;
  const log = createLogger({ component: "gateway", level: "silent" });
  const forwarder = new Forwarder({ peers, secret: "s", metrics: createGatewayMetrics(), log });
  const invocation = {
    key: "team/f",
    requestId: "id",
    invokedArn: "arn",
    version: "$LATEST",
    logTail: false,
    streaming: true,
    traceId: "t",
  };
  forwarder.forward("owner", { ...invocation, payload: Buffer.from("{}") }, response, (outcome) => void outcomes.push(outcome));
  return outcomes;
}

test("who has left before the event is on its way does not have the owner write to nobody", async () => {
  const { response, leave } = await called();
  leave();
  await once(response, "close");
  const answers: ServerResponse[] = [];
  owner.on("request", (_, answer: ServerResponse) => {
    answers.push(answer);
    answer.writeHead(200);
    answer.write(Buffer.alloc(8 * 1024 * 1024));
  });
  const outcomes = forward(response);
  await vi.waitFor(() => expect(outcomes).toEqual([{ type: "answered", status: 499 }]));
  // Its connection ends, by which an owner hears of it.
  await vi.waitFor(() => expect(answers.every(({ destroyed }) => destroyed)).toBe(true));
});

test("an event that looks for its owner leaves nothing behind at each gateway that is not", async () => {
  owner.on("request", (_, answer: ServerResponse) => void answer.writeHead(NOT_OWNER_STATUS).end());
  const { response } = await called();
  const listeners = () => ["close", "drain"].map((event) => response.listenerCount(event));
  const before = listeners();
  for (let i = 0; i < 12; i++) {
    const outcomes = forward(response);
    await vi.waitFor(() => expect(outcomes).toEqual([{ type: "retry", status: NOT_OWNER_STATUS }]));
  }
  expect(listeners()).toEqual(before);
});
