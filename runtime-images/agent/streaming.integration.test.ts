/** Streamed responses, from a program that speaks the Runtime API to the gateway. */
import { createHash } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Assignment, FrameType, MAX_STREAMED, STREAM_WINDOW } from "../../operator/src/api/environment-protocol.ts";
import { until } from "./testing/agent-process.ts";
import { agentHarness } from "./testing/harness.ts";
import { assignmentOf } from "./testing/packages.ts";
import { providedFunction, providedRuntime } from "./testing/provided.ts";

const { unassigned, gatewayOf, forget } = agentHarness();
let runtimeRoot: string;

beforeAll(async () => {
  runtimeRoot = await providedRuntime();
});
afterAll(async () => await rm(runtimeRoot, { recursive: true, force: true }));

async function provided(source: string, over: Partial<Assignment> = {}) {
  const parts = await unassigned(providedFunction(source), { runtimeRoot, env: { KAPPA_RUNTIME: "provided.al2023" } });
  const { assigned, failed } = await parts.link.assign(assignmentOf(parts.code, over));
  if (!assigned) throw new Error(`not assigned: ${JSON.stringify(failed)}\n${parts.agent.stderr}`);
  return parts;
}

describe("a streamed response", () => {
  test("goes to the gateway as the runtime writes it, and the event ends with it", async () => {
    const { link, agent } = await provided(`
async function handle(id, event) {
  await stream(id, async (request) => {
    request.write("first ");
    await sleep(300);
    request.end("second");
  });
}`);
    const id = link.offer("{}", { logTail: true });
    const first = await link.take((f) => f.type === FrameType.responseChunk, "the first part");
    expect([first.body.toString(), first.header]).toEqual(["first ", { requestId: id, contentType: "text/plain" }]);
    expect(link.received.filter((f) => f.type === FrameType.result)).toEqual([]);
    const { streamed, contentType, result, body, tail } = await link.streamed(id);
    expect([streamed.toString(), contentType, body.length]).toEqual(["second", undefined, 0]);
    expect(result).toMatchObject({ streamed: true, reusable: true });
    expect(result.functionError).toBeUndefined();
    expect(result.durationMs).toBeGreaterThan(290);
    expect(tail).toMatch(/^START RequestId: .*\nEND RequestId: .*\nREPORT RequestId: /);
    await agent.output("REPORT");
  });

  test("waits for credit: no more than the window is under way, and nothing is lost or out of order", async () => {
    const { link } = await provided(`
const { createHash } = require("node:crypto");
async function handle(id, event) {
  const hash = createHash("sha256");
  await stream(id, async (request) => {
    for (let part = 0; part < event.parts; part++) {
      const bytes = Buffer.alloc(10_000 + part, part % 256);
      hash.update(bytes);
      await write(request, bytes);
    }
    request.end();
  });
  console.log("sha256 " + hash.digest("hex"));
}`);
    const id = link.offer(JSON.stringify({ parts: 600 }));
    const arrived = () => link.received.reduce((sum, f) => sum + (f.type === FrameType.responseChunk ? f.body.length : 0), 0);
    await until(async () => (arrived() > STREAM_WINDOW - 70_000 ? true : undefined), "a full window");
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(arrived()).toBeLessThanOrEqual(STREAM_WINDOW);
    const { streamed, result, chunks } = await link.streamed(id);
    expect(chunks.length).toBeLessThan(2000);
    expect(result.functionError).toBeUndefined();
    expect(streamed.length).toBe(600 * 10_000 + (599 * 600) / 2);
    const expected = createHash("sha256");
    for (let part = 0; part < 600; part++) expected.update(Buffer.alloc(10_000 + part, part % 256));
    expect(createHash("sha256").update(streamed).digest("hex")).toBe(expected.digest("hex"));
  });

  test("that fails after its first byte ends with the error of the trailers", async () => {
    const { link } = await provided(`
async function handle(id, event) {
  await stream(id, (request) => {
    request.write("so far");
    request.addTrailers({
      "Lambda-Runtime-Function-Error-Type": "Runtime.StreamError",
      "Lambda-Runtime-Function-Error-Body": Buffer.from(JSON.stringify({ errorType: "TypeError", errorMessage: "too late" })).toString("base64"),
    });
    request.end();
  });
}`);
    const { streamed, result, json } = await link.streamed(link.offer("{}"));
    expect(streamed.toString()).toBe("so far");
    expect(result).toMatchObject({ streamed: true, functionError: "Unhandled", errorType: "Runtime.StreamError", reusable: true });
    expect(json).toEqual({ errorType: "TypeError", errorMessage: "too late" });
  });

  test.each([
    ["exits", "process.exit(3)", "Runtime.ExitError", "Runtime exited with error: exit status 3"],
    ["is killed", 'process.kill(process.pid, "SIGSEGV")', "Runtime.ExitError", "Runtime exited with error: signal: segmentation fault"],
    ["goes on too long", "await sleep(60_000)", "Sandbox.Timedout", "Task timed out after 1.00 seconds"],
    ["breaks its connection", 'request.on("error", () => {}).destroy()', "Runtime.TruncatedResponse", "HTTP request detected as truncated"],
  ])("whose runtime %s ends with the platform's error, and the next event works", async (_, action, errorType, message) => {
    const { link } = await provided(
      `
async function handle(id, event) {
  if (event.fine) return void (await respond(id, '"fine"'));
  await stream(id, async (request) => {
    await write(request, "so far");
    await sleep(100);
    ${action};
  }).catch(() => {});
}`,
      { timeout: 1 },
    );
    const id = link.offer("{}");
    const { streamed, result, json } = await link.streamed(id);
    expect(streamed.toString()).toBe("so far");
    expect(result).toMatchObject({ streamed: true, functionError: "Unhandled", errorType, reusable: true });
    expect(json).toEqual({ errorType, errorMessage: `RequestId: ${id} Error: ${message}` });
    expect((await link.invoke({ fine: true })).json).toBe("fine");
  });

  test("that fails before its first byte is an error like any other", async () => {
    const { link } = await provided("async function handle(id) { await stream(id, () => process.exit(1)); }");
    const { result, json } = await link.invoke({});
    expect(result).toMatchObject({ functionError: "Unhandled", errorType: "Runtime.ExitError" });
    expect(result.streamed).toBeUndefined();
    expect(json).toMatchObject({ errorType: "Runtime.ExitError" });
  });

  test("may have 200 MiB and not one byte more, and leaves the agent its size", { timeout: 120_000 }, async () => {
    const { link, agent } = await provided(
      `
async function handle(id, event) {
  const answer = await stream(id, async (request) => {
    const part = Buffer.alloc(1024 * 1024, 7);
    for (let sent = 0; sent < event.bytes; sent += part.length) await write(request, part.subarray(0, event.bytes - sent));
    request.end();
  });
  console.log("answer " + answer.status + " " + answer.body);
}`,
      { timeout: 60, memorySize: 1769 },
    );
    for (const [bytes, error] of [
      [MAX_STREAMED, undefined],
      [MAX_STREAMED + 1, "Function.ResponseSizeTooLarge"],
    ] as const) {
      const id = link.offer(JSON.stringify({ bytes }));
      let total = 0;
      for (;;) {
        const frame = await link.take((f) => f.type === FrameType.responseChunk || f.type === FrameType.result, "more of it");
        if (frame.type === FrameType.responseChunk) {
          total += frame.body.length;
          link.credit(id, frame.body.length);
        } else if (frame.type === FrameType.result) {
          expect(frame.header.errorType).toBe(error);
          if (error !== undefined)
            expect(JSON.parse(frame.body.toString()).errorMessage).toBe(
              "Response payload size exceeded maximum allowed payload size (209715200 bytes).",
            );
          break;
        }
      }
      expect(total).toBe(MAX_STREAMED);
    }
    await agent.output(`answer 413 {"errorMessage":"Exceeded maximum allowed payload size (209715200 bytes).`);
    const status = await readFile(`/proc/${await agent.pid()}/status`, "utf8");
    expect(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1])).toBeLessThan(200_000);
  });

  test("whose gateway is lost is written to its end for nobody, and the environment goes on", async () => {
    const { link, gateway, agent } = await provided(`
async function handle(id, event) {
  if (event.fine) return void (await respond(id, '"fine"'));
  await stream(id, async (request) => {
    for (let part = 0; part < 5; part++) await write(request, Buffer.alloc(1024 * 1024));
    request.end();
  });
  console.log("written to the end");
}`);
    link.offer("{}");
    await until(async () => (link.received.some((f) => f.type === FrameType.responseChunk) ? true : undefined), "the first part");
    const { port } = gateway;
    await gateway.kill();
    forget(gateway);
    await agent.output("written to the end");
    await agent.output("REPORT");
    const again = await (await gatewayOf({ port })).agent();
    expect((await again.invoke({ fine: true })).json).toBe("fine");
  });

  test("whose gateway is lost before its first part is written to its end as well", async () => {
    const { link, gateway, agent } = await provided(`
async function handle(id) {
  console.log("begun");
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await stream(id, async (request) => {
    for (let part = 0; part < 5; part++) await write(request, Buffer.alloc(1024 * 1024));
    request.end();
  });
  console.log("written to the end");
}`);
    link.offer("{}");
    await agent.output("begun");
    await gateway.kill();
    forget(gateway);
    await agent.output("written to the end");
    expect(await agent.output("REPORT")).not.toContain("Task timed out");
  });

  test("is the only answer: a second one, an error and a next are refused as long as it lasts", async () => {
    const { link } = await provided(`
async function handle(id, event) {
  const answers = [];
  const last = await stream(id, async (request) => {
    await write(request, "body");
    answers.push(await respond(id, "1"), await call("POST", "/invocation/" + id + "/error"), await call("GET", "/invocation/next"));
    answers.push(await call("POST", "/init/error"), await respond("other", "1"));
    request.end();
  });
  answers.push(last, await respond(id, "1"));
  const next = await call("GET", "/invocation/next");
  await respond(next.headers["lambda-runtime-aws-request-id"], JSON.stringify(answers.map(({ status, body }) => [status, JSON.parse(body)])));
}`);
    const { streamed } = await link.streamed(link.offer("{}"));
    expect(streamed.toString()).toBe("body");
    const forbidden = (from: string, to: string) => [
      403,
      {
        errorMessage: `State transition from ${from} to ${to} failed for runtime. Error: State transition is not allowed`,
        errorType: "InvalidStateTransition",
      },
    ];
    expect((await link.invoke({})).json).toEqual([
      forbidden("InvocationResponse", "InvocationResponse"),
      forbidden("InvocationResponse", "InvocationErrorResponse"),
      forbidden("InvocationResponse", "Ready"),
      forbidden("InvocationResponse", "InitError"),
      [400, { errorMessage: "Invalid request ID", errorType: "InvalidRequestID" }],
      [202, { status: "OK" }],
      forbidden("RuntimeResponseSentState", "InvocationResponse"),
    ]);
  });
});

describe("the mode of a response", () => {
  test("buffered is no stream", async () => {
    const { link } = await provided(
      `async function handle(id) { await respond(id, '"whole"', { "Lambda-Runtime-Function-Response-Mode": "buffered" }); }`,
    );
    const { result, json } = await link.invoke({});
    expect([json, result.streamed]).toEqual(["whole", undefined]);
  });

  test("that there is not is refused, to the runtime and to the caller", async () => {
    const { link, agent } = await provided(`
async function handle(id, event) {
  if (event.fine) return void (await respond(id, '"fine"'));
  console.log(JSON.stringify(await respond(id, "x", { "Lambda-Runtime-Function-Response-Mode": "sometimes" })));
}`);
    const { result, json } = await link.invoke({});
    expect(result).toMatchObject({ functionError: "Unhandled", errorType: "Runtime.InvalidResponseModeHeader" });
    expect(json).toEqual({ errorType: "Runtime.InvalidResponseModeHeader", errorMessage: "Invalid function response mode" });
    expect(await agent.output("status")).toContain('"status":400');
    expect((await link.invoke({ fine: true })).json).toBe("fine");
  });
});
