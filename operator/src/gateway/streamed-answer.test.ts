import { once } from "node:events";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Result } from "../api/environment-protocol.ts";
import { PayloadBudget } from "./http-body.ts";
import type { Outcome } from "./invocation.ts";
import { streamedAnswer } from "./streamed-answer.ts";

const MIB = 1024 * 1024;
let server: Server;
beforeEach(async () => {
  server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const result = (over: Partial<Result> = {}, body = ""): Outcome => ({
  type: "result",
  result: { requestId: "id", durationMs: 1, billedMs: 1, maxMemoryMb: 1, reusable: true, streamed: true, ...over },
  body: Buffer.from(body),
});

/** The answer to a caller over a real connection, who reads when the test says so. */
async function start({ streaming, budget }: { streaming: boolean; budget: PayloadBudget }) {
  const asked = once(server, "request") as Promise<[IncomingMessage, ServerResponse]>;
  const sent = request({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", method: "POST" });
  const answered = once(sent, "response").then(([response]: IncomingMessage[]) => {
    response?.on("error", () => {});
    return response;
  });
  answered.catch(() => {});
  sent.on("error", () => {});
  sent.end();
  const [, response] = await asked;
  const answer = streamedAnswer(response, { requestId: "id", version: "$LATEST", traceId: "trace", streaming }, budget);
  let left = 0;
  const write = (bytes: number, contentType?: string) =>
    answer.write(Buffer.alloc(bytes, "x"), contentType, (count) => {
      left += count;
    });
  const read = async () => {
    const message = await answered;
    let size = 0;
    for await (const part of message ?? []) size += (part as Buffer).length;
    return { status: message?.statusCode, headers: message?.headers ?? {}, size };
  };
  return { answer, response, write, read, leave: () => sent.destroy(), left: () => left };
}

/** What of a budget is held. */
function heldOf(budget: PayloadBudget, of: number): number {
  for (let free = of; free >= 0; free -= 1024)
    if (budget.take(free)) {
      budget.give(free);
      return of - free;
    }
  return of;
}

test("a streamed answer holds what its caller has not read, and gives everything back when it was", async () => {
  const budget = new PayloadBudget(64 * MIB);
  const { write, read, left, answer } = await start({ streaming: true, budget });
  for (let i = 0; i < 640; i++) write(64 * 1024);
  const held = heldOf(budget, 64 * MIB);
  expect(held).toBeGreaterThan(MIB);
  expect(Math.abs(held + left() - 40 * MIB)).toBeLessThan(2048);
  answer.end(result());
  const { size, headers } = await read();
  expect(size).toBeGreaterThan(40 * MIB);
  expect(headers).toMatchObject({
    "content-type": "application/vnd.amazon.eventstream",
    "x-amzn-remapped-content-type": "application/octet-stream",
  });
  await vi.waitFor(() => expect(heldOf(budget, 64 * MIB)).toBe(0));
});

test("a caller who reads too slowly while memory is short is broken off; the function hears nothing of it", async () => {
  const budget = new PayloadBudget(4 * MIB);
  const { write, response, left } = await start({ streaming: true, budget });
  for (let i = 0; i < 640; i++) write(64 * 1024);
  expect(response.destroyed).toBe(true);
  await vi.waitFor(() => expect(left()).toBe(40 * MIB));
  await vi.waitFor(() => expect(heldOf(budget, 4 * MIB)).toBe(0));
});

test("a caller who leaves holds nothing any more, and the rest goes nowhere at once", async () => {
  const budget = new PayloadBudget(64 * MIB);
  const { write, leave, left, response } = await start({ streaming: true, budget });
  for (let i = 0; i < 320; i++) write(64 * 1024);
  leave();
  await once(response, "close");
  expect([heldOf(budget, 64 * MIB), left()]).toEqual([0, 20 * MIB]);
  write(MIB);
  expect(left()).toBe(21 * MIB);
});

test("many small parts for a slow caller are few messages", async () => {
  const budget = new PayloadBudget(64 * MIB);
  const { write, read, answer, response } = await start({ streaming: true, budget });
  while (!response.writableNeedDrain) write(64 * 1024);
  const before = response.writableLength;
  for (let i = 0; i < 10_000; i++) write(1);
  expect(response.writableLength).toBe(before);
  answer.end(result());
  expect(response.writableLength - before).toBeLessThan(11_000);
  await read();
});

test("an answer in one piece is charged until it has left, and tells the function's own type", async () => {
  const budget = new PayloadBudget(64 * MIB);
  const { write, read, left, answer } = await start({ streaming: false, budget });
  write(2 * MIB, "image/png");
  write(3 * MIB);
  expect([heldOf(budget, 64 * MIB), left()]).toEqual([5 * MIB, 5 * MIB]);
  expect(answer.end(result({ logTail: "TE9H" }))).toBe(200);
  expect(await read()).toMatchObject({
    status: 200,
    size: 5 * MIB,
    headers: { "content-type": "image/png", "content-length": String(5 * MIB), "x-amz-log-result": "TE9H" },
  });
  await vi.waitFor(() => expect(heldOf(budget, 64 * MIB)).toBe(0));
});

test("an answer in one piece for which there is no memory is our error, since its event ran and is billed, and holds none meanwhile", async () => {
  const budget = new PayloadBudget(4 * MIB);
  const { write, read, left, answer } = await start({ streaming: false, budget });
  for (let i = 0; i < 5; i++) write(MIB);
  expect([heldOf(budget, 4 * MIB), left()]).toEqual([0, 5 * MIB]);
  expect(answer.end(result())).toBe(500);
  expect((await read()).headers).toMatchObject({ "x-amzn-errortype": "ServiceException" });
});

test("an answer in one piece of a function that failed late is its error", async () => {
  const { write, read, answer } = await start({ streaming: false, budget: new PayloadBudget(4 * MIB) });
  write(1000);
  answer.end(result({ functionError: "Unhandled" }, '{"errorType":"X"}'));
  expect(await read()).toMatchObject({ size: 17, headers: { "x-amz-function-error": "Unhandled", "content-type": "application/json" } });
});
