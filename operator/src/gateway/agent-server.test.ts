import { afterEach, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { CloseCode, encodeFrame, FrameType, PROTOCOL_VERSION } from "../api/environment-protocol.ts";
import { systemClock } from "../kube/clock.ts";
import { createLogger } from "../telemetry/log.ts";
import { type AgentConnection, AgentServer, type AgentServerOptions, type ConnectionEnd } from "./agent-server.ts";

let server: AgentServer | undefined;
const sockets: WebSocket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.terminate();
  await server?.stop();
});

async function start(over: Partial<AgentServerOptions> = {}): Promise<string> {
  const never = () => Promise.reject(new Error("not asked for here"));
  server = new AgentServer({
    host: "127.0.0.1",
    port: 0,
    tokens: { verify: never },
    agents: { admit: never, packageOf: () => undefined },
    packages: { get: never },
    clock: systemClock,
    log: createLogger({ component: "gateway", level: "silent" }),
    ...over,
  });
  return `ws://127.0.0.1:${await server.start()}/v1/connect`;
}

/** Dials. Tells the status of a refused handshake, or 101. */
async function dial(url: string): Promise<{ socket: WebSocket; status: number; closed: Promise<number> }> {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  sockets.push(socket);
  socket.on("error", () => {});
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  const status = await new Promise<number>((resolve) => {
    socket.once("open", () => resolve(101));
    socket.once("unexpected-response", (_request, response) => resolve(response.statusCode ?? 0));
  });
  return { socket, status, closed };
}

test("nothing large is collected for somebody who has not said who he is", async () => {
  const { socket, closed } = await dial(await start());
  // The first half of a message: it would be waited for until the rest comes.
  socket.send(Buffer.alloc(1024 * 1024), { binary: true, fin: false });
  expect(await closed).toBe(1006);
});

test("one address takes a part of the places at most, and gives them back", async () => {
  const url = await start();
  const first = await Promise.all(Array.from({ length: 70 }, () => dial(url)));
  expect(first.filter(({ status }) => status === 101)).toHaveLength(64);
  expect(first.filter(({ status }) => status === 503)).toHaveLength(6);
  for (const { socket } of first) socket.terminate();
  await vi.waitFor(async () => expect((await dial(url)).status).toBe(101));
});

test("a first message that is no hello ends the connection", async () => {
  const { socket, closed } = await dial(await start());
  socket.send("hello?");
  expect(await closed).toBe(CloseCode.protocolError);
});

test.each<[string, (agent: WebSocket, ours: AgentConnection | undefined) => unknown, ConnectionEnd]>([
  ["an agent that says it goes", (agent) => agent.close(CloseCode.goingAway), "orderly"],
  ["an agent that closes for another reason", (agent) => agent.close(1000), "broken"],
  ["an agent that keeps to other gateways", (agent) => agent.close(CloseCode.notMember), "elsewhere"],
  ["an agent that vanishes", (agent) => agent.terminate(), "broken"],
  ["our own close, which the agent repeats", (_, ours) => ours?.close(CloseCode.goingAway, "over"), "broken"],
  ["the close of all, which the agent repeats", () => server?.stop(), "broken"],
])("how a connection ended is told: %s", async (_, end, how) => {
  let ours: AgentConnection | undefined;
  const ends: ConnectionEnd[] = [];
  const take = (connection: AgentConnection) => {
    ours = connection;
    return { frame: () => {}, disconnected: (said: ConnectionEnd) => void ends.push(said) };
  };
  const url = await start({
    tokens: { verify: async () => ({ namespace: "team", podName: "f-0", podUid: "u" }) },
    agents: { admit: async () => ({ take }), packageOf: () => undefined },
  });
  const { socket } = await dial(url);
  const header = {
    protocol: PROTOCOL_VERSION,
    token: "t",
    podName: "f-0",
    namespace: "team",
    runtime: "python3.11",
    state: "unassigned",
  } as const;
  socket.send(encodeFrame({ type: FrameType.hello, header }));
  await vi.waitFor(() => expect(ours).toBeDefined());
  end(socket, ours);
  await vi.waitFor(() => expect(ends).toEqual([how]));
});
