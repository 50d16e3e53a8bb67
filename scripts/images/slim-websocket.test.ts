import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { slimWebSocket } from "./slim-websocket.ts";

/** What the agent does with the package; it prints what it got, and which of Node's parts were loaded for it. */
const PROGRAM = `
import { WebSocket } from "ws";
const socket = new WebSocket(process.argv[2], { perMessageDeflate: false });
socket.once("open", () => socket.send("ping"));
socket.once("message", (data) => {
  const loaded = process.moduleLoadList.filter((name) => /NativeModule (https|tls|zlib)$/.test(name));
  console.log(JSON.stringify({ got: String(data), state: socket.readyState === WebSocket.OPEN, loaded }));
  socket.close();
});
`;

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: true });
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kappa-slim-"));
  server.on("connection", (socket) => socket.on("message", (data) => socket.send(`${String(data)} pong`)));
  await new Promise<void>((resolve) => {
    http.listen(0, "127.0.0.1", resolve);
  });
});
afterAll(async () => {
  server.close();
  http.close();
  await rm(folder, { recursive: true, force: true });
});

test("a client without TLS and compression talks to a server that offers compression, and loads neither", async () => {
  const outfile = join(folder, "client.cjs");
  await build({
    stdin: { contents: PROGRAM, resolveDir: import.meta.dirname },
    bundle: true,
    platform: "node",
    format: "cjs",
    outfile,
    plugins: [slimWebSocket],
    define: { "process.env.WS_NO_BUFFER_UTIL": '"1"', "process.env.WS_NO_UTF_8_VALIDATE": '"1"' },
  });
  const { port } = http.address() as AddressInfo;
  const { stdout } = await promisify(execFile)(process.execPath, [outfile, `ws://127.0.0.1:${port}`]);
  expect(JSON.parse(stdout)).toEqual({ got: "ping pong", state: true, loaded: [] });
}, 60_000);
