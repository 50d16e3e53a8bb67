import { createHash } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import {
  InvokeCommand,
  type InvokeCommandOutput,
  InvokeWithResponseStreamCommand,
  type InvokeWithResponseStreamCommandOutput,
  type LambdaClient,
} from "@aws-sdk/client-lambda";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { useApiServer, useNats } from "../../testing/index.ts";
import { owner } from "../domain/rendezvous.ts";
import { WireAgent, type WireEvent } from "./testing/wire-agent.ts";
import { NATS_CONFIG, type TestGateway, until, World } from "./testing/world.ts";

const apiServer = useApiServer();
const nats = useNats({ config: NATS_CONFIG });
const MIB = 1024 * 1024;
let world: World;
let a: TestGateway;
let b: TestGateway;
const agents: WireAgent[] = [];

beforeAll(async () => {
  world = await World.create(apiServer(), nats());
  world.startPods = false;
  await world.account("team", "111111111111");
  a = await world.gateway("gateway-a");
  b = await world.gateway("gateway-b");
  await until(async () => (await value(a, "kappa_gateway_peers")) === 1 || undefined, "the gateways to meet");
});
afterAll(async () => {
  for (const agent of agents) agent.close();
  await world?.stop();
});
afterEach(({ task }) => {
  if (task.result?.state === "fail") process.stderr.write(world.log.slice(-30).join(""));
});

async function value(gateway: TestGateway, metric: string): Promise<number | undefined> {
  return (await gateway.metrics.registry.getSingleMetric(metric)?.get())?.values[0]?.value;
}

/** Invocations of a function that its owner has counted. */
async function invocationsOf(name: string): Promise<number> {
  const { values } = (await a.metrics.registry.getSingleMetric("kappa_invocations_total")?.get()) ?? { values: [] };
  return values.find(({ labels }) => labels.function === name)?.value ?? 0;
}

/** A function that gateway a owns, and what is needed to call it. */
async function make(purpose: string): Promise<string> {
  let name = "";
  for (let i = 0; name === ""; i++) if (owner(["gateway-a", "gateway-b"], `team/${purpose}-${i}`) === "gateway-a") name = `${purpose}-${i}`;
  await world.fn("team", name, { over: { timeout: 60 } });
  for (const gateway of [a, b]) {
    const client = world.lambda(gateway, "team");
    const dryRun = new InvokeWithResponseStreamCommand({ FunctionName: name, InvocationType: "DryRun" });
    await until(async () => client.send(dryRun).catch(() => undefined), `function ${name}`);
  }
  return name;
}

const podsOf = async (name: string) => (await world.pods("team")).filter(({ metadata }) => metadata.name.startsWith(`${name}-`));

/** The agent of a function whose pod the first call has made. */
async function agentOf(name: string): Promise<WireAgent> {
  const pod = await until(async () => (await podsOf(name))[0], `a pod of ${name}`);
  const agent = await WireAgent.connect(a.ports.agents, {
    namespace: "team",
    podName: pod.metadata.name,
    token: await world.agentToken(pod),
  });
  agents.push(agent);
  return agent;
}

const stream = (client: LambdaClient, name: string, over: Partial<InvokeWithResponseStreamCommand["input"]> = {}) =>
  client.send(new InvokeWithResponseStreamCommand({ FunctionName: name, Payload: "{}", ...over }));

/** Starts a call, and gives the agent its event. */
async function begin<T>(
  name: string,
  call: Promise<T>,
  known?: WireAgent,
): Promise<{ answer: Promise<T>; agent: WireAgent; event: WireEvent }> {
  call.catch(() => {});
  const agent = known ?? (await agentOf(name));
  return { answer: call, agent, event: await agent.event() };
}

/** The events of an answer, one after the other. */
async function* eventsOf({ EventStream }: InvokeWithResponseStreamCommandOutput) {
  for await (const { PayloadChunk, InvokeComplete } of EventStream ?? [])
    yield PayloadChunk ? Buffer.from(PayloadChunk.Payload ?? []).toString() : InvokeComplete;
}

async function all(output: InvokeWithResponseStreamCommandOutput): Promise<unknown[]> {
  const events: unknown[] = [];
  for await (const event of eventsOf(output)) events.push(event);
  return events;
}

/** A signed request whose answer nobody reads until the test does. */
async function unread(gateway: TestGateway, name: string): Promise<{ response: Promise<IncomingMessage>; destroy: () => void }> {
  const sent = request(`${gateway.url}/2021-11-15/functions/${name}/response-streaming-invocations`, {
    method: "POST",
    headers: { authorization: `Bearer ${await world.token("team", "caller")}` },
  });
  sent.on("error", () => {});
  sent.end("{}");
  const response = once(sent, "response").then(([message]: IncomingMessage[]) => {
    if (!message) throw new Error("no answer");
    message.pause();
    message.on("error", () => {});
    return message;
  });
  response.catch(() => {});
  return { response, destroy: () => sent.destroy() };
}

describe.each(["at its owner", "through another gateway"])("a function that streams, called %s,", (where) => {
  const gateway = () => (where === "at its owner" ? a : b);
  const client = () => world.lambda(gateway(), "team");
  const purpose = (what: string) => `${what}-${where === "at its owner" ? "own" : "fwd"}`;

  test("gives AWS's own client each part as it comes, and an end", async () => {
    const name = await make(purpose("parts"));
    const { agent, event, answer } = await begin(name, stream(client(), name, { Payload: '{"n":1}', LogType: "Tail" }));
    expect(event).toMatchObject({ payload: '{"n":1}', invoke: { logTail: true } });
    await agent.part(event, "one ", "text/plain");
    const output = await answer;
    expect(output).toMatchObject({
      $metadata: { httpStatusCode: 200, requestId: event.invoke.requestId },
      ExecutedVersion: "$LATEST",
      ResponseStreamContentType: "application/vnd.amazon.eventstream",
    });
    const events = eventsOf(output);
    expect((await events.next()).value).toBe("one ");
    await agent.part(event, "two");
    expect((await events.next()).value).toBe("two");
    agent.result(event, { streamed: true, logTail: "TE9H" });
    expect((await events.next()).value).toEqual({ LogResult: "TE9H" });
    expect((await events.next()).done).toBe(true);
  });

  test("that fails before, in the midst of it or with its environment is told apart from one that ended", async () => {
    const name = await make(purpose("fails"));
    const failure = JSON.stringify({ errorType: "Error", errorMessage: "boom" });
    const failed = { functionError: "Unhandled", errorType: "Error" };
    const early = await begin(name, stream(client(), name));
    early.agent.result(early.event, failed, failure);
    expect(await all(await early.answer)).toEqual([{ ErrorCode: "Unhandled", ErrorDetails: failure }]);

    const late = await begin(name, stream(client(), name), early.agent);
    await late.agent.part(late.event, "half");
    late.agent.result(late.event, { ...failed, streamed: true }, failure);
    expect(await all(await late.answer)).toEqual(["half", { ErrorCode: "Unhandled", ErrorDetails: failure }]);

    const lost = await begin(name, stream(client(), name), early.agent);
    await lost.agent.part(lost.event, "half");
    const events = eventsOf(await lost.answer);
    expect((await events.next()).value).toBe("half");
    lost.agent.close();
    await expect(events.next()).rejects.toThrow("The execution environment was lost");
  });

  test("is given to a caller of Invoke in one piece, with its type", async () => {
    const name = await make(purpose("whole"));
    const whole = await begin(name, client().send(new InvokeCommand({ FunctionName: name })));
    for (let i = 0; i < 64; i++) await whole.agent.part(whole.event, Buffer.alloc(95_000, i), "image/png");
    whole.agent.result(whole.event, { streamed: true });
    const output = await whole.answer;
    expect(output).toMatchObject({ StatusCode: 200, $metadata: { requestId: whole.event.invoke.requestId } });
    expect(output.FunctionError).toBeUndefined();
    const expected = Buffer.concat(Array.from({ length: 64 }, (_, i) => Buffer.alloc(95_000, i)));
    expect(Buffer.from(output.Payload ?? []).equals(expected)).toBe(true);

    const long = await begin(name, client().send(new InvokeCommand({ FunctionName: name })), whole.agent);
    for (let i = 0; i < 13; i++) await long.agent.part(long.event, Buffer.alloc(MIB / 2));
    long.agent.result(long.event, { streamed: true });
    const refused = await long.answer;
    expect(refused.FunctionError).toBe("Unhandled");
    expect(JSON.parse(Buffer.from(refused.Payload ?? []).toString()).errorType).toBe("Function.ResponseSizeTooLarge");
  });

  test("costs no more than its window while the caller does not read, and loses nothing", async () => {
    const name = await make(purpose("slow"));
    const caller = await unread(gateway(), name);
    const agent = await agentOf(name);
    const event = await agent.event();
    const [size, count] = [64 * 1024, 640];
    const whole = createHash("sha256");
    let sent = 0;
    const sending = (async () => {
      for (let i = 0; i < count; i++) {
        const part = Buffer.alloc(size, i);
        whole.update(part);
        await agent.part(event, part);
        sent += part.length;
      }
      agent.result(event, { streamed: true });
    })();
    // It stands still when everything between function and caller is full: the window, and what the connections themselves hold.
    const stalled = await until(async () => {
      const before = sent;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return sent === before && sent > 0 ? sent : undefined;
    }, "the function to be held up");
    expect(stalled).toBeLessThan(size * count);
    expect(agent.window).toBeLessThan(size);
    const parts: Buffer[] = [];
    for await (const part of await caller.response) parts.push(part as Buffer);
    await sending;
    expect(payloadsOf(Buffer.concat(parts))).toEqual({ bytes: size * count, sha256: whole.digest("hex"), end: "InvokeComplete" });
  });

  test("runs on at its own pace when the caller has gone, and serves the next one", async () => {
    const name = await make(purpose("gone"));
    const caller = await unread(gateway(), name);
    const agent = await agentOf(name);
    const event = await agent.event();
    await agent.part(event, Buffer.alloc(MIB / 2));
    await caller.response;
    caller.destroy();
    for (let i = 0; i < 64; i++) await agent.part(event, Buffer.alloc(MIB / 4));
    expect(await invocationsOf(name)).toBe(0);
    agent.result(event, { streamed: true });
    await until(async () => (await invocationsOf(name)) === 1 || undefined, "the invocation to be counted");
    const next = await begin(name, stream(client(), name), agent);
    next.agent.result(next.event, { streamed: true });
    expect(await all(await next.answer)).toEqual([{}]);
  });
});

describe("a call that takes long", () => {
  /** Longer than every limit that a server of ours has for other things: 10 s for headers, 30 s for a request to arrive. */
  const SILENCE_MS = 35_000;

  test("is answered however long nothing is said, at its owner and through another gateway", async () => {
    const calls: { answer: Promise<InvokeCommandOutput>; agent: WireAgent; event: WireEvent }[] = [];
    for (const gateway of [a, b]) {
      const name = await make(`long-${gateway.name}`);
      calls.push(await begin(name, world.lambda(gateway, "team").send(new InvokeCommand({ FunctionName: name }))));
    }
    await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
    for (const { agent, event } of calls) agent.result(event, {}, '"late"');
    for (const { answer } of calls) expect(Buffer.from((await answer).Payload ?? []).toString()).toBe('"late"');
  });

  test.each(["gateway-a", "gateway-b"])(
    "and whose caller leaves %s runs to its end, alone in its environment, and is counted",
    async (at) => {
      const gateway = at === "gateway-a" ? a : b;
      const name = await make(`left-${at}`);
      const caller = await unread(gateway, name);
      const agent = await agentOf(name);
      const event = await agent.event();
      caller.destroy();
      const next = begin(name, stream(world.lambda(gateway, "team"), name), agent);
      await until(async () => (await podsOf(name)).length === 2 || undefined, "a second environment, as the first is busy");
      agent.result(event, {}, "1");
      const { answer, event: second } = await next;
      agent.result(second, {}, "2");
      expect(await all(await answer)).toEqual(["2", {}]);
      expect(await invocationsOf(name)).toBe(2);
    },
  );
});

test("a response that is not streamed comes as one part", async () => {
  const name = await make("buffered");
  const { agent, event, answer } = await begin(name, stream(world.lambda(b, "team"), name));
  agent.result(event, {}, '{"a":1}');
  expect(await all(await answer)).toEqual(['{"a":1}', {}]);
});

test("a refusal is Lambda's, as for any call", async () => {
  const client = world.lambda(a, "team");
  await expect(stream(client, "nowhere")).rejects.toMatchObject({ name: "ResourceNotFoundException", $metadata: { httpStatusCode: 404 } });
  await expect(stream(client, await make("json"), { Payload: "{" })).rejects.toMatchObject({ name: "InvalidRequestContentException" });
  await expect(stream(world.lambda(a, "team", { as: "stranger" }), "any")).rejects.toMatchObject({ name: "AccessDeniedException" });
});

/** What is in an event stream: the bytes of its payload, and the kind of its last event. */
function payloadsOf(encoded: Buffer): { bytes: number; sha256: string; end: string } {
  const hash = createHash("sha256");
  let [bytes, end] = [0, ""];
  for (let at = 0; at < encoded.length; ) {
    const [total, headers] = [encoded.readUInt32BE(at), encoded.readUInt32BE(at + 4)];
    end = /InvokeComplete|PayloadChunk/.exec(encoded.toString("latin1", at + 12, at + 12 + headers))?.[0] ?? "";
    const payload = encoded.subarray(at + 12 + headers, at + total - 4);
    if (end === "PayloadChunk") {
      bytes += payload.length;
      hash.update(payload);
    }
    at += total;
  }
  return { bytes, sha256: hash.digest("hex"), end };
}
