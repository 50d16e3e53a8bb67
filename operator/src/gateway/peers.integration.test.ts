import { InvokeCommand, type InvokeCommandOutput } from "@aws-sdk/client-lambda";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { useApiServer, useNats } from "../../testing/index.ts";
import { owner } from "../domain/rendezvous.ts";
import {
  type FunctionSpec,
  type GatewayAddress,
  type GatewayProcess,
  NATS_CONFIG,
  type TestGateway,
  until,
  World,
} from "./testing/world.ts";

const apiServer = useApiServer();
const nats = useNats({ config: NATS_CONFIG });
let world: World;
let a: TestGateway;
let b: GatewayProcess;

beforeAll(async () => {
  world = await World.create(apiServer(), nats());
  await world.account("team", "111111111111");
  a = await world.gateway("gateway-a");
  b = await world.gatewayProcess("gateway-b");
  await until(async () => (await peersOf(a)) === 1 || undefined, "the gateways to meet");
});
afterAll(async () => {
  await world?.stop();
});
afterEach(({ task }) => {
  if (task.result?.state === "fail") process.stderr.write(world.log.slice(-60).join(""));
});

interface Echo {
  event: Record<string, unknown>;
  boot: string;
  count: number;
}

async function peersOf(gateway: TestGateway): Promise<number | undefined> {
  return (await gateway.metrics.registry.getSingleMetric("kappa_gateway_peers")?.get())?.values[0]?.value;
}

async function invoke(gateway: GatewayAddress, name: string, event: unknown, maxAttempts = 1): Promise<InvokeCommandOutput & Echo> {
  const output = await world
    .lambda(gateway, "team", { maxAttempts })
    .send(new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(event) }));
  return { ...output, ...(JSON.parse(Buffer.from(output.Payload ?? []).toString()) as Echo) };
}

/** Makes a function that a certain gateway owns, known to both. */
async function make(ownedBy: GatewayAddress, purpose: string, fn: FunctionSpec = {}, knownTo: GatewayAddress[] = [a, b]): Promise<string> {
  let name = "";
  for (let i = 0; name === ""; i++)
    if (owner(["gateway-a", "gateway-b"], `team/${purpose}-${i}`) === ownedBy.name) name = `${purpose}-${i}`;
  await world.fn("team", name, fn);
  for (const gateway of knownTo) {
    const client = world.lambda(gateway, "team");
    await until(
      async () => client.send(new InvokeCommand({ FunctionName: name, InvocationType: "DryRun" })).catch(() => undefined),
      `function ${name}`,
    );
  }
  return name;
}

const podsOf = (name: string) => [...world.podsSeen].filter((key) => key.startsWith(`team/${name}-`));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("whichever gateway is asked, the owner's one environment answers", async () => {
  for (const ownedBy of [a, b]) {
    const name = await make(ownedBy, "shared");
    const first = await invoke(a, name, { via: "a" });
    const second = await invoke(b, name, { via: "b" });
    expect([first.event, second.event]).toEqual([{ via: "a" }, { via: "b" }]);
    expect(second).toMatchObject({ boot: first.boot, count: 2 });
    expect(podsOf(name)).toHaveLength(1);
  }
});

test("an error, a large answer and a throttle come through the other gateway unchanged", async () => {
  const name = await make(b, "through", { spec: { reservedConcurrentExecutions: 1 } });
  const failed = await invoke(a, name, { fail: "no good" });
  expect(failed).toMatchObject({ FunctionError: "Unhandled", errorMessage: "no good" });
  const data = "x".repeat(5_000_000);
  expect((await invoke(a, name, { data })).event.data).toBe(data);
  const running = invoke(b, name, { sleep: 2 });
  await pause(500);
  await expect(invoke(a, name, {})).rejects.toMatchObject({
    name: "TooManyRequestsException",
    Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
  });
  await running;
});

test("calls to both gateways at once reach their own callers", async () => {
  const names = [await make(a, "cross"), await make(b, "cross")];
  await Promise.all(names.map((name) => invoke(a, name, {})));
  let crossed = 0;
  let next = 0;
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      for (let i = next++; i < 300; i = next++) {
        const { event } = await invoke(i % 2 === 0 ? a : b, names[i % 3 === 0 ? 1 : 0] ?? "", { i });
        if (event.i !== i) crossed++;
      }
    }),
  );
  expect(crossed).toBe(0);
});

test("someone who does not know the secret is not served on the peers' port", async () => {
  const answer = await fetch(`http://127.0.0.1:${a.ports.peers}/v1/invoke`, {
    method: "POST",
    body: "{}",
    headers: { authorization: "Bearer guess" },
  });
  expect(answer.status).toBe(401);
});

test("a killed owner: who waited is served by the next owner, who ran hears of it, and no environment is lost", async () => {
  const [busy, cold, idle] = [await make(b, "busy"), await make(b, "cold"), await make(b, "idle")];
  const before = await invoke(a, idle, {});
  await invoke(a, busy, {});
  const running = invoke(a, busy, { sleep: 20 }).catch((error: Error) => error);
  world.startPods = false;
  const waiting = invoke(a, cold, { waited: true });
  await until(async () => podsOf(cold).length === 1 || undefined, "the pod of the cold function");
  await b.kill();
  expect(await running).toMatchObject({ name: "ServiceException", message: expect.stringContaining("lost") });
  world.startPods = true;
  world.startHeldPods();
  expect((await waiting).event).toEqual({ waited: true });
  expect(podsOf(cold)).toHaveLength(1);
  expect((await invoke(a, idle, {})).boot).toBe(before.boot);
  expect(podsOf(idle)).toHaveLength(1);
  // The dead gateway's event still runs, so this one gets an environment of its own.
  expect((await invoke(a, busy, { again: 1 })).event).toEqual({ again: 1 });
}, 90_000);

test("a gateway that comes back takes over what it owns, with the environments that are there", async () => {
  const name = await make(b, "returning", {}, [a]);
  const before = await invoke(a, name, {});
  b = await world.gatewayProcess("gateway-b");
  await until(async () => (await peersOf(a)) === 1 || undefined, "the gateways to meet");
  const answers = [await invoke(a, name, { i: 1 }), await invoke(b, name, { i: 2 }), await invoke(a, name, { i: 3 })];
  expect(answers.map(({ boot }) => boot)).toEqual([before.boot, before.boot, before.boot]);
  expect(podsOf(name)).toHaveLength(1);
}, 90_000);

test("a gateway that goes in order costs no caller anything", async () => {
  const names = [await make(b, "orderly"), await make(a, "orderly")];
  await Promise.all(names.map((name) => invoke(a, name, {})));
  let stopped = false;
  let calls = 0;
  const callers = names.map(async (name) => {
    while (!stopped) {
      await invoke(a, name, { i: calls++ });
    }
  });
  const running = invoke(a, names[0] ?? "", { sleep: 1.5 });
  await pause(300);
  await b.stop(10_000);
  await pause(300);
  stopped = true;
  await Promise.all(callers);
  expect((await running).event).toEqual({ sleep: 1.5 });
  expect(calls).toBeGreaterThan(20);
}, 90_000);
