import { InvokeCommand } from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { useApiServer, useNats } from "../../../testing/index.ts";
import { CloseCode, encodeFrame, FrameType, type Hello, PROTOCOL_VERSION } from "../../api/environment-protocol.ts";
import { Resources } from "../../kube/objects.ts";
import { Annotation, Label } from "../../resources/labels.ts";
import type { GatewayConfig } from "../config-types.ts";
import type { Pod } from "../pod.ts";
import { type GatewayAddress, NATS_CONFIG, type TestGateway, until, World } from "../testing/world.ts";

const apiServer = useApiServer();
const nats = useNats({ config: NATS_CONFIG });
const pools: GatewayConfig["pools"] = {
  size: { memoryMb: 1769, requestedMb: 128 },
  floor: 1,
  ceiling: 3,
  accountCeiling: 5,
  starting: 2,
  usedMs: 3_600_000,
};
let world: World;
let gateways: [TestGateway, TestGateway];

beforeAll(async () => {
  world = await World.create(apiServer(), nats());
  await world.account("team", "111111111111");
  gateways = [await world.gateway("gateway-a", { pools }), await world.gateway("gateway-b", { pools })];
});
afterAll(async () => {
  await world?.stop();
});

const isPooled = ({ metadata }: Pod) => metadata.labels?.[Label.pool] !== undefined;
const assignmentOf = ({ metadata }: Pod) => metadata.annotations?.[Annotation.assignment];

/** The pods that wait in pools, once every agent that there is has reached both gateways. */
const waitingPods = (enough: (count: number) => boolean) =>
  until(async () => {
    const all = await world.pods("team");
    const waiting = all.filter((pod) => isPooled(pod) && assignmentOf(pod) === undefined);
    const reached = await Promise.all(gateways.map(connections));
    return enough(waiting.length) && reached.every((count) => count === all.length) ? waiting : undefined;
  }, "pods in the pool");
const one = (count: number) => count === 1;
const some = (count: number) => count > 0;

/** Agents that have proven themselves to a gateway. */
async function connections({ metrics }: TestGateway): Promise<number> {
  const metric = await metrics.registry.getSingleMetric("kappa_gateway_agent_connections")?.get();
  return metric?.values[0]?.value ?? 0;
}

interface Echo {
  boot: string;
  count: number;
}
async function invoke(gateway: GatewayAddress, name: string): Promise<Echo> {
  const output = await world.lambda(gateway, "team").send(new InvokeCommand({ FunctionName: name, Payload: "{}" }));
  return JSON.parse(Buffer.from(output.Payload ?? []).toString()) as Echo;
}

/** The pod that has become a function's, once it says so. */
const podOf = (name: string) =>
  until(
    async () => (await world.pods("team")).find(({ metadata }) => metadata.annotations?.[Annotation.function] === name),
    `a pod of ${name}`,
  );

test("one environment waits for a function that was just deployed, and nobody's label, owner or assignment is on it", async () => {
  await world.fn("team", "first");
  const [pod] = await waitingPods(one);
  expect(pod?.metadata.ownerReferences).toBeUndefined();
  expect(pod?.metadata.labels).not.toHaveProperty([Label.function]);
  expect(gateways.map(({ name }) => name)).toContain(pod?.metadata.annotations?.[Annotation.madeBy]);
});

test("the first event of a function runs in it; its pod then says so, gets the function's size, and the pool is filled again", async () => {
  const [pod] = await waitingPods(one);
  await invoke(gateways[0], "first");
  const assigned = await podOf("first");
  expect(assigned.metadata.name).toBe(pod?.metadata.name);
  expect(assigned.metadata.ownerReferences).toMatchObject([{ kind: "Function", name: "first" }]);
  expect(assigned.metadata.labels).toEqual(pod?.metadata.labels);
  const limits = await until(async () => {
    const { spec } = (await world.client.get<Pod>(Resources.pod, { namespace: "team", name: assigned.metadata.name })) as Pod & {
      spec: { containers: { resources: { limits: { memory: string } } }[] };
    };
    const limits = spec.containers[0]?.resources.limits;
    return limits?.memory === "192Mi" ? limits : undefined;
  }, "the function's size");
  expect(limits).toMatchObject({ memory: "192Mi", cpu: "323m" });
  const [next] = await waitingPods(one);
  expect(next?.metadata.name).not.toBe(pod?.metadata.name);
});

test("functions of either gateway are served from it", async () => {
  for (const name of ["a", "b", "c", "d"]) {
    await world.fn("team", name);
    await waitingPods(some);
    await until(() => invoke(gateways[0], name).catch(() => undefined), name);
    expect(isPooled(await podOf(name))).toBe(true);
  }
});

test("what runs in an environment obtains nothing with its token: neither another function nor the pool's trust", async () => {
  const pod = await podOf("first");
  const token = await world.agentToken(pod);
  const dial = async (gateway: GatewayAddress, over: Partial<Hello>) => {
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.ports.agents}/v1/connect`);
    socket.on("error", () => {});
    const closed = new Promise<number>((resolve) => socket.once("close", resolve));
    await new Promise((resolve) => socket.once("open", resolve));
    const header: Hello = {
      protocol: PROTOCOL_VERSION,
      token,
      podName: pod.metadata.name,
      namespace: "team",
      runtime: "python3.11",
      state: "unassigned",
      ...over,
    };
    socket.send(encodeFrame({ type: FrameType.hello, header }));
    return closed;
  };
  // While its agent is connected there is no second one; without it, user code is nobody.
  expect(await dial(gateways[0], {})).toBe(CloseCode.duplicate);
  await world.agents.get(`team/${pod.metadata.name}`)?.signal("SIGSTOP");
  await expect.poll(() => dial(gateways[0], {}), { timeout: 15_000, interval: 500 }).toBe(CloseCode.unauthorized);
  const other = assignmentOf(await podOf("a")) ?? "";
  expect(await dial(gateways[0], { state: "assigned", assignmentId: other })).toBe(CloseCode.unauthorized);
  expect(await dial(gateways[0], { state: "warming", ticket: "x".repeat(43) })).toBe(CloseCode.unauthorized);
});

test("a gateway that dies takes no pool with it: what waits is served by the others, and nothing is made twice", async () => {
  const third = await world.gatewayProcess("gateway-c", { pools });
  await world.fn("team", "early");
  await until(() => invoke(third, "early").catch(() => undefined), "early");
  const before = (await waitingPods(some)).map(({ metadata }) => metadata.name);
  await third.kill();
  await world.fn("team", "late");
  await until(() => invoke(gateways[1], "late").catch(() => undefined), "late");
  expect(before).toContain((await podOf("late")).metadata.name);
  expect((await waitingPods(some)).length).toBeLessThanOrEqual(pools.ceiling);
});
