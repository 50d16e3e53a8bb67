/** The Runtime API over real HTTP connections. */
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ResponseStream } from "./response-stream.ts";
import { type DeliveredEvent, RuntimeApi } from "./server.ts";

const BASE = "/2018-06-01/runtime";
let api: RuntimeApi;
let port: number;
let told: string[];
let agent: Agent;

beforeEach(async () => {
  told = [];
  agent = new Agent({ keepAlive: true });
  const text = (body: Uint8Array[]): string => Buffer.concat(body).toString();
  api = new RuntimeApi({
    ready: () => told.push("ready"),
    response: (body) => told.push(`response ${text(body)}`),
    error: (type, body) => told.push(`error ${type} ${text(body)}`),
    stream: (source) =>
      new ResponseStream({
        source,
        window: 1000,
        max: 2000,
        send: (bytes) => told.push(`stream ${source.contentType} ${Buffer.from(bytes)}`),
        onEnd: (end) => told.push(`end ${end.how}${end.how === "error" ? ` ${end.errorType} ${end.body}` : ""}`),
      }),
    invalidMode: () => told.push("invalid mode"),
    tooLarge: () => told.push("too large"),
    initError: (type, body) => told.push(`initError ${type} ${text(body)}`),
  });
  port = Number((await api.listen(0)).split(":")[1]);
});
afterEach(() => {
  api.close();
  agent.destroy();
});

interface Answer {
  status: number | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

function call(method: string, path: string, body?: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, method, path, headers, agent }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const event = (over: Partial<DeliveredEvent> = {}): DeliveredEvent => ({
  requestId: "id-1",
  deadlineMs: 123,
  invokedFunctionArn: "arn:aws:lambda:us-east-1:000000000001:function:f",
  payload: Buffer.from('{"a":1}'),
  ...over,
});

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries > 1000) throw new Error(`waited in vain; told: ${told}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("answers outside of the states", () => {
  test("an unknown path and a wrong method as the emulator does", async () => {
    expect(await call("GET", "/nope")).toMatchObject({ status: 404, body: "404 page not found\n" });
    expect(await call("POST", `${BASE}/invocation/next`)).toMatchObject({ status: 405, headers: { allow: "GET" }, body: "" });
  });

  test("an invalid id and a forbidden transition in its error format", async () => {
    expect(await call("POST", `${BASE}/invocation/x/response`, "{}")).toMatchObject({
      status: 400,
      headers: { "content-type": "application/json" },
      body: '{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}\n',
    });
    await call("POST", `${BASE}/init/error`, "{}");
    const refused = await call("GET", `${BASE}/invocation/next`);
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.body)).toMatchObject({ errorType: "InvalidStateTransition" });
  });
});

describe("an event", () => {
  test("has Lambda's headers, and its body comes back as it was posted", async () => {
    const next = call("GET", `${BASE}/invocation/next`);
    await until(() => told.includes("ready"));
    api.deliver(event({ traceId: "Root=1", clientContext: '{"ü":\n1}', cognitoIdentity: "{}" }));
    const { status, headers, body } = await next;
    expect({ status, body }).toEqual({ status: 200, body: '{"a":1}' });
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "lambda-runtime-aws-request-id": "id-1",
      "lambda-runtime-deadline-ms": "123",
      "lambda-runtime-invoked-function-arn": "arn:aws:lambda:us-east-1:000000000001:function:f",
      "lambda-runtime-trace-id": "Root=1",
      "lambda-runtime-cognito-identity": "{}",
    });
    expect(Buffer.from(String(headers["lambda-runtime-client-context"]), "latin1").toString()).toBe('{"ü": 1}');
    expect(await call("POST", `${BASE}/invocation/id-1/response`, "not json")).toMatchObject({ status: 202, body: '{"status":"OK"}\n' });
    expect(told).toEqual(["ready", "response not json"]);
  });

  test("whose next broke off is given to the one after", async () => {
    const broken = connect(port, "127.0.0.1");
    broken.write(`GET ${BASE}/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n`);
    await until(() => told.includes("ready"));
    broken.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    api.deliver(event());
    expect((await call("GET", `${BASE}/invocation/next`)).body).toBe('{"a":1}');
    // Asked for again, because the answer was lost on the way.
    expect((await call("GET", `${BASE}/invocation/next`)).body).toBe('{"a":1}');
    expect(await call("POST", `${BASE}/invocation/id-1/response`, "1")).toMatchObject({ status: 202 });
  });

  test("whose response breaks off is unanswered still", async () => {
    const next = call("GET", `${BASE}/invocation/next`);
    await until(() => told.includes("ready"));
    api.deliver(event());
    await next;
    const half = connect(port, "127.0.0.1");
    half.write(`POST ${BASE}/invocation/id-1/response HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await call("POST", `${BASE}/invocation/id-1/response`, "other")).status).toBe(403);
    half.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await call("POST", `${BASE}/invocation/id-1/response`, "whole")).status).toBe(202);
    expect(told).toEqual(["ready", "response whole"]);
  });

  test("may be answered with exactly the limit and not with more", async () => {
    for (const [size, status, last] of [
      [6_291_556, 202, "response"],
      [6_291_557, 413, "too large"],
    ] as const) {
      const next = call("GET", `${BASE}/invocation/next`);
      await until(() => told.at(-1) === "ready");
      api.deliver(event());
      await next;
      const answer = await call("POST", `${BASE}/invocation/id-1/response`, Buffer.alloc(size));
      expect(answer.status).toBe(status);
      if (status === 413)
        expect(answer.body).toBe(
          '{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}\n',
        );
      expect(told.at(-1)).toMatch(new RegExp(`^${last}`));
    }
  });
});

describe("an error", () => {
  test.each([
    ["from the header", { "Lambda-Runtime-Function-Error-Type": "Runtime.Known" }, "{}", "Runtime.Known"],
    ["from the body", {}, '{"errorType":"ValueError"}', "ValueError"],
    ["unknown where the header is no type", { "Lambda-Runtime-Function-Error-Type": "a b" }, "{}", "Runtime.Unknown"],
    ["unknown where there is none", {}, "no json", "Runtime.Unknown"],
  ])("has its type %s", async (_, headers, body, type) => {
    await call("POST", `${BASE}/init/error`, body, headers);
    expect(told).toEqual([`initError ${type} ${body}`]);
  });

  test("may have an X-Ray cause of a megabyte in a header", async () => {
    expect(
      (await call("POST", `${BASE}/init/error`, "{}", { "Lambda-Runtime-Function-XRay-Error-Cause": "x".repeat(1024 * 1024) })).status,
    ).toBe(202);
  });
});

test("what a runtime that is gone still sends is not taken for its successor's", async () => {
  const next = call("GET", `${BASE}/invocation/next`);
  await until(() => told.includes("ready"));
  api.deliver(event());
  await next;
  const late = connect(port, "127.0.0.1");
  late.on("error", () => {});
  late.write(`POST ${BASE}/invocation/id-1/response HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nla`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  api.reset();
  late.write("te");
  // Its successor has connections of its own.
  agent.destroy();
  agent = new Agent({ keepAlive: true });
  const again = call("GET", `${BASE}/invocation/next`);
  await until(() => told.filter((what) => what === "ready").length === 2);
  // The same event once more, as a retry would be.
  api.deliver(event());
  await again;
  expect(told).toEqual(["ready", "ready"]);
  expect((await call("POST", `${BASE}/invocation/id-1/response`, "new")).status).toBe(202);
  expect(told.at(-1)).toBe("response new");
});

test("settled waits for the last words of a runtime and not longer than it may", async () => {
  const client = connect(port, "127.0.0.1");
  await new Promise((resolve) => client.once("connect", resolve));
  let settled = false;
  const waiting = api.settled(60_000).then(() => {
    settled = true;
  });
  client.end(`POST ${BASE}/init/error HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`);
  client.resume();
  await waiting;
  expect(settled).toBe(true);
  expect(told).toEqual(["initError Runtime.Unknown {}"]);
  const silent = connect(port, "127.0.0.1");
  await new Promise((resolve) => silent.once("connect", resolve));
  await api.settled(20);
  silent.destroy();
});
