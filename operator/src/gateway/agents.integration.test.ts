import { generateKeyPairSync } from "node:crypto";
import { InvokeCommand } from "@aws-sdk/client-lambda";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { useApiServer, useNats } from "../../testing/index.ts";
import { CloseCode, decodeFrame, encodeFrame, type Frame, FrameType, type Hello, PROTOCOL_VERSION } from "../api/environment-protocol.ts";
import type { Function as FunctionObject } from "../api/types.generated.ts";
import { systemClock } from "../kube/clock.ts";
import { type KubeObject, Resources } from "../kube/objects.ts";
import { createLogger } from "../telemetry/log.ts";
import { EndpointSliceDirectory } from "./peer-directory.ts";
import type { Pod } from "./pod.ts";
import { NATS_CONFIG, type TestGateway, until, World } from "./testing/world.ts";

const apiServer = useApiServer();
const nats = useNats({ config: NATS_CONFIG });
let world: World;
let gateway: TestGateway;
let pods: [Pod, Pod];

beforeAll(async () => {
  world = await World.create(apiServer(), nats());
  world.startPods = false;
  await world.account("team", "111111111111");
  gateway = await world.gateway("gateway-a");
  // Two callers that wait for good make two pods, whose agents this test plays.
  const client = world.lambda(gateway, "team");
  for (const name of ["one", "two"]) {
    await world.fn("team", name, { files: { "app.py": `NAME = "${name}"` } });
    await until(async () => client.send(new InvokeCommand({ FunctionName: name, InvocationType: "DryRun" })).catch(() => undefined), name);
    client.send(new InvokeCommand({ FunctionName: name })).catch(() => {});
  }
  pods = await until(async () => {
    const found = (await world.pods("team")).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const [one, two] = found;
    return one && two ? [one, two] : undefined;
  }, "the pods");
});
afterAll(async () => {
  await world?.stop();
});

/** Dials, sends, and tells what came of it: the frames, and the code of the close if there was one within a second. */
async function dial(first: Uint8Array | string): Promise<{ code: number | undefined; frames: Frame[]; socket: WebSocket }> {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.ports.agents}/v1/connect`);
  const frames: Frame[] = [];
  socket.on("message", (data) => frames.push(decodeFrame(data as Buffer)));
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  socket.on("error", () => {});
  await new Promise((resolve) => socket.once("open", resolve));
  socket.send(first);
  const code = await Promise.race([
    closed,
    until(async () => (frames.length > 0 ? true : undefined), "a frame", 20_000).then(() => undefined),
  ]);
  return { code, frames, socket };
}

function hello(pod: Pod, token: string, over: Partial<Hello> = {}): Uint8Array {
  const { name, namespace = "" } = pod.metadata;
  return encodeFrame({
    type: FrameType.hello,
    header: { protocol: PROTOCOL_VERSION, token, podName: name, namespace, runtime: "python3.11", state: "unassigned", ...over },
  });
}

/** A token that says the right things, signed by somebody else. */
async function forged(pod: Pod): Promise<string> {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const { name, uid, namespace } = pod.metadata;
  return new SignJWT({ "kubernetes.io": { namespace, pod: { name, uid }, serviceaccount: { name: "kappa-environment", uid: "x" } } })
    .setProtectedHeader({ alg: "RS256", kid: "made-up" })
    .setIssuer("https://kubernetes.default.svc.cluster.local")
    .setAudience("gateway.kappa.dev")
    .setExpirationTime("1h")
    .sign(privateKey);
}

describe("whoever dials is refused", () => {
  test.each<[string, () => Promise<Uint8Array | string>, number]>([
    [
      "with a token for the API server",
      async () => hello(pods[0], await world.agentToken(pods[0], "https://kubernetes.default.svc.cluster.local")),
      CloseCode.unauthorized,
    ],
    ["with the token of another pod", async () => hello(pods[0], await world.agentToken(pods[1])), CloseCode.unauthorized],
    [
      "with a ServiceAccount's token that is bound to no pod",
      async () => hello(pods[0], await world.token("team", "caller")),
      CloseCode.unauthorized,
    ],
    ["with a forged token", async () => hello(pods[0], await forged(pods[0])), CloseCode.unauthorized],
    ["with no token at all", async () => hello(pods[0], "none"), CloseCode.unauthorized],
    [
      "as another version of the function",
      async () => hello(pods[0], await world.agentToken(pods[0]), { assignmentId: "x/$LATEST/y" }),
      CloseCode.unauthorized,
    ],
    [
      "with another protocol version",
      async () => hello(pods[0], await world.agentToken(pods[0]), { protocol: 99 }),
      CloseCode.versionMismatch,
    ],
    [
      "without a hello",
      async () => encodeFrame({ type: FrameType.stateChange, header: { state: "assigned", epoch: 0 } }),
      CloseCode.protocolError,
    ],
    ["with something that is no frame", async () => "hello?", CloseCode.protocolError],
  ])("%s", async (_, first, code) => {
    const { code: got, frames } = await dial(await first());
    expect([got, frames]).toEqual([code, []]);
  });

  test("when it already is connected", async () => {
    const token = await world.agentToken(pods[1]);
    const { socket, code } = await dial(hello(pods[1], token));
    expect(code).toBeUndefined();
    expect((await dial(hello(pods[1], token))).code).toBe(CloseCode.duplicate);
    socket.terminate();
  });

  test("elsewhere than on the agents' path", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.ports.agents}/other`);
    const status = await new Promise((resolve) => socket.once("unexpected-response", (_request, response) => resolve(response.statusCode)));
    expect(status).toBe(404);
    socket.on("error", () => {});
    socket.terminate();
  });
});

test("a pod's own agent is told of the gateways and gets its assignment", async () => {
  const { frames, socket } = await dial(hello(pods[0], await world.agentToken(pods[0])));
  await until(async () => (frames.length > 1 ? true : undefined), "the assignment");
  expect(frames[0]).toMatchObject({
    type: FrameType.welcome,
    header: { members: [{ name: "gateway-a", address: `127.0.0.1:${gateway.ports.agents}` }] },
  });
  expect(frames[1]).toMatchObject({
    type: FrameType.assign,
    header: { functionName: "one", accountId: "111111111111", handler: "app.handler", timeout: 10 },
  });
  socket.terminate();
});

describe("a package", () => {
  const get = async (path: string, token?: string) =>
    fetch(`http://127.0.0.1:${gateway.ports.agents}${path}`, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });
  const digestOf = async (name: string) =>
    (await world.client.get<FunctionObject>(Resources.function, { namespace: "team", name }))?.status?.effective?.packageSha256;

  test("is given to the pod that it was assigned to, and to no other", async () => {
    const [one, two] = [await digestOf("one"), await digestOf("two")];
    const token = await world.agentToken(pods[0]);
    const own = await get(`/v1/packages/${one}`, token);
    expect([own.status, (await own.arrayBuffer()).byteLength]).toEqual([200, Number(own.headers.get("content-length"))]);
    expect((await get(`/v1/packages/${two}`, token)).status).toBe(403);
    expect((await get(`/v1/packages/${one}`)).status).toBe(401);
    expect((await get(`/v1/packages/${one}`, await forged(pods[0]))).status).toBe(401);
    expect((await get("/v1/packages/../../etc/passwd", token)).status).toBe(404);
  });
});

test("a deleted pod's token opens nothing any more", async () => {
  const token = await world.agentToken(pods[1]);
  await world.client.delete(Resources.pod, { namespace: "team", name: pods[1].metadata.name, gracePeriodSeconds: 0 });
  await until(async () => ((await dial(hello(pods[1], token))).code === CloseCode.unauthorized ? true : undefined), "the refusal");
});

test("the gateways are found in the EndpointSlices of their service", async () => {
  const slice = (addresses: string[]): KubeObject =>
    ({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: {
        name: "kappa-gateway-agents-1",
        namespace: "kappa-system",
        labels: { "kubernetes.io/service-name": "kappa-gateway-agents" },
      },
      addressType: "IPv4",
      ports: [{ name: "agents", port: 8081, protocol: "TCP" }],
      endpoints: addresses.map((address, i) => ({
        addresses: [address],
        conditions: { ready: false },
        targetRef: { kind: "Pod", name: `gateway-${i}` },
        nodeName: "node-1",
      })),
    }) as KubeObject;
  await world.client.create(Resources.endpointSlice, slice(["192.0.2.1"]));
  const directory = new EndpointSliceDirectory({
    client: world.client,
    namespace: "kappa-system",
    service: "kappa-gateway-agents",
    ports: { agents: 1, peers: 8082 },
    clock: systemClock,
    log: createLogger({ component: "gateway", level: "silent" }),
  });
  let changes = 0;
  directory.subscribe(() => changes++);
  directory.start();
  await directory.synced();
  expect(directory.candidates()).toEqual([{ name: "gateway-0", host: "192.0.2.1", agentPort: 8081, peerPort: 8082, nodeName: "node-1" }]);
  const before = changes;
  await world.client.apply(Resources.endpointSlice, slice(["192.0.2.1", "192.0.2.2"]), { fieldManager: "test" });
  await until(async () => (directory.candidates().length === 2 ? true : undefined), "the second gateway");
  expect(changes).toBeGreaterThan(before);
  await directory.stop();
});
