import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import type { Function as FunctionObject, Version } from "../api/types.generated.ts";
import { systemClock } from "../kube/clock.ts";
import { createGatewayMetrics } from "../telemetry/gateway-metrics.ts";
import { createLogger } from "../telemetry/log.ts";
import { AccessKey } from "./access-keys.ts";
import { Authenticator } from "./authenticator.ts";
import { FunctionRegistry } from "./function-registry.ts";
import { LambdaApi, type LambdaApiOptions } from "./http-api.ts";
import { PayloadBudget } from "./http-body.ts";
import type { Invocation } from "./invocation.ts";
import { systemRandom } from "./random.ts";

const REGION = "us-east-1";
const LARGEST = 6_000_000;

let api: LambdaApi | undefined;
const requests: ClientRequest[] = [];
afterEach(async () => {
  for (const sent of requests.splice(0)) sent.destroy();
  await api?.stop();
});

async function start(budget = new PayloadBudget(2 * LARGEST), over: Partial<LambdaApiOptions> = {}): Promise<number> {
  const metrics = createGatewayMetrics();
  const never = () => {
    throw new Error("not asked for here");
  };
  const key = new AccessKey({
    accessKeyId: "KNOWN",
    secret: "s",
    caller: { id: "u", username: "u", groups: [] },
    source: "team/key",
    age: "",
  });
  const keys = { get: (id: string) => (id === "KNOWN" ? key : undefined) };
  api = new LambdaApi({
    host: "127.0.0.1",
    port: 0,
    region: REGION,
    clock: systemClock,
    random: systemRandom,
    log: createLogger({ component: "gateway", level: "silent" }),
    metrics,
    authenticator: new Authenticator({
      keys,
      roles: { key: never, checkLives: never },
      client: { post: never },
      metrics,
      clock: systemClock,
      region: REGION,
    }),
    authoriser: { authorise: never },
    registry: new FunctionRegistry(),
    accounts: { idOf: () => undefined, namespaceOf: () => undefined },
    own: { serves: () => false, answer: never },
    otherOwner: () => undefined,
    submit: never,
    forwarder: { forward: never },
    budget,
    ...over,
  });
  return await api.start();
}

/** Begins an invocation whose body is still to come. */
function begin(port: number, headers: Record<string, string>, length = LARGEST, query = "") {
  const sent = request({
    host: "127.0.0.1",
    port,
    method: "POST",
    path: `/2015-03-31/functions/f/invocations${query}`,
    headers: { ...headers, "content-length": length },
  });
  sent.on("error", () => {});
  requests.push(sent);
  sent.flushHeaders();
  const answer = new Promise<[number | undefined, unknown]>((resolve) =>
    sent.once("response", (response: IncomingMessage) => {
      response.resume();
      resolve([response.statusCode, response.headers["x-amzn-errortype"]]);
    }),
  );
  return { sent, answer };
}

/** Headers as a signer makes them; the signature itself is not looked at before the body. */
function signedBy(accessKeyId: string, at = Date.now()): Record<string, string> {
  const time = `${new Date(at).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
  const scope = `${time.slice(0, 8)}/${REGION}/lambda/aws4_request`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=host;x-amz-date, Signature=${"0".repeat(64)}`;
  return { authorization, "x-amz-date": time };
}

test.each<[string, Record<string, string>, number, string]>([
  ["no credentials", {}, 403, "MissingAuthenticationTokenException"],
  ["a token of another kind", { authorization: "Basic eDp5" }, 403, "MissingAuthenticationTokenException"],
  ["half a signature", { authorization: "AWS4-HMAC-SHA256 Credential=x" }, 400, "IncompleteSignatureException"],
  ["an unknown key", signedBy("UNKNOWN"), 403, "UnrecognizedClientException"],
  ["a signature of an hour ago", signedBy("KNOWN", Date.now() - 3_600_000), 403, "InvalidSignatureException"],
])("%s: refused before the body comes, which is dropped", async (_, headers, status, type) => {
  const budget = new PayloadBudget(2 * LARGEST);
  const { sent, answer } = begin(await start(budget), headers);
  expect(await answer).toEqual([status, type]);
  await new Promise((resolve) => sent.end(Buffer.alloc(LARGEST), () => resolve(undefined)));
  expect(budget.take(2 * LARGEST)).toBe(true);
});

test("callers at one address that send slowly leave room for those at others", async () => {
  const budget = new PayloadBudget(100, 50);
  const port = await start(budget);
  const slow = begin(port, signedBy("KNOWN"), 60);
  slow.sent.write(Buffer.alloc(40));
  await vi.waitFor(() => {
    const all = budget.take(61);
    if (all) budget.give(61);
    expect(all).toBe(false);
  });
  const next = begin(port, signedBy("KNOWN"), 20);
  next.sent.end(Buffer.alloc(20));
  expect(await next.answer).toEqual([429, "TooManyRequestsException"]);
  expect(budget.of("192.0.2.1").take(50)).toBe(true);
  slow.sent.destroy();
  await vi.waitFor(() => expect(budget.take(50)).toBe(true));
});

/** What lets everybody in, and knows a function. */
function serving(): Partial<LambdaApiOptions> & { registry: FunctionRegistry } {
  const registry = new FunctionRegistry();
  registry.put({
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name: "f", namespace: "team", uid: "u" },
    spec: {},
    status: { state: "Active", effective: {} },
  } as unknown as FunctionObject);
  return {
    registry,
    accounts: { idOf: () => "111111111111", namespaceOf: () => "team" },
    authenticator: { authenticate: () => () => ({ id: "u", username: "u", groups: [], namespace: "team" }) },
    authoriser: { authorise: () => undefined },
  };
}

test("requests that were sent ahead on one connection end with it, and hold nothing any more", async () => {
  const budget = new PayloadBudget(2 * LARGEST);
  const invocations: Invocation[] = [];
  const port = await start(budget, {
    ...serving(),
    submit: (_, invocation) => void invocations.push(invocation),
  });
  const caller = connect(port, "127.0.0.1");
  const head = "POST /2021-11-15/functions/f/response-streaming-invocations HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}";
  caller.write(head + head);
  await vi.waitFor(() => expect(invocations).toHaveLength(2));
  for (const invocation of invocations) for (let i = 0; i < 4; i++) invocation.chunk(Buffer.alloc(100_000), undefined, () => {});
  caller.destroy();
  await vi.waitFor(() => expect(api?.inFlight).toBe(0));
  expect(invocations.map(({ cancelled }) => cancelled)).toEqual([true, true]);
  for (const invocation of invocations) invocation.finish({ type: "functionError", body: Buffer.from("{}") });
  await vi.waitFor(() => expect(budget.take(2 * LARGEST)).toBe(true));
});

test.each(["another owner", "this gateway"])(
  "an event whose alias moved while it waited at an owner that is lost goes on to %s as the new version",
  async (to) => {
    const of = serving();
    const { registry } = of;
    for (const version of [1, 2])
      registry.putVersion({
        apiVersion: "kappa.dev/v1alpha1",
        kind: "Version",
        metadata: { name: `f-${version}`, namespace: "team", uid: `v${version}` },
        spec: { functionName: "f", version },
        status: { state: "Active", effective: { runtime: "python3.11" } },
      } as unknown as Version);
    const lead = (functionVersion: string) =>
      registry.putAlias({
        apiVersion: "kappa.dev/v1alpha1",
        kind: "Alias",
        metadata: { name: "f-live", namespace: "team", uid: "a" },
        spec: { functionName: "f", name: "live", functionVersion },
      });
    lead("1");
    const routed: string[] = [];
    const port = await start(undefined, {
      ...of,
      otherOwner: () => (routed.length > 0 && to === "this gateway" ? undefined : "other"),
      forwarder: {
        forward: (_, { version }, response, done) => {
          routed.push(version);
          if (routed.length > 1) {
            response.end();
            return done({ type: "answered", status: 200 });
          }
          lead("2");
          done({ type: "retry", status: 0 });
        },
      },
      submit: (_, invocation) => {
        routed.push(invocation.version);
        invocation.finish({ type: "functionError", body: Buffer.from("{}") });
      },
    });
    const { sent, answer } = begin(port, {}, 2, "?Qualifier=live");
    sent.end("{}");
    expect(await answer).toEqual([200, undefined]);
    expect(routed).toEqual(["1", "2"]);
  },
);
