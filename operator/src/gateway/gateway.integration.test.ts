import { InvokeCommand, type InvokeCommandOutput, type LambdaClient } from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, expect, test } from "vitest";
import { useApiServer, useNats } from "../../testing/index.ts";
import { NATS_CONFIG, type TestGateway, until, World } from "./testing/world.ts";

const apiServer = useApiServer();
const nats = useNats({ config: NATS_CONFIG });
let world: World;
let gateway: TestGateway;
let lambda: LambdaClient;

beforeAll(async () => {
  world = await World.create(apiServer(), nats());
  await world.account("team", "111111111111");
  gateway = await world.gateway("gateway-a");
  lambda = world.lambda(gateway, "team");
});
afterAll(async () => {
  await world?.stop();
});

interface Echo {
  event: unknown;
  boot: string;
  count: number;
  requestId: string;
  arn: string;
  custom: unknown;
  greeting: string | null;
}

async function invoke(
  name: string,
  event: unknown,
  over: Partial<InvokeCommand["input"]> = {},
  client = lambda,
): Promise<InvokeCommandOutput & { echo: Echo }> {
  const output = await client.send(new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(event), ...over }));
  return { ...output, echo: JSON.parse(Buffer.from(output.Payload ?? []).toString() || "null") };
}

test("AWS's client gets the function's answer, a second call comes from the same environment", async () => {
  await world.fn("team", "hello", { over: { environment: { GREETING: "salut" } } });
  const first = await until(async () => invoke("hello", { name: "x" }).catch(() => undefined), "the first answer");
  expect(first).toMatchObject({ StatusCode: 200, ExecutedVersion: "$LATEST" });
  expect(first.FunctionError).toBeUndefined();
  expect(first.echo).toMatchObject({
    event: { name: "x" },
    count: 1,
    greeting: "salut",
    arn: "arn:aws:lambda:us-east-1:111111111111:function:hello",
  });
  expect(first.echo.requestId).toBe(first.$metadata.requestId);
  const second = await invoke("hello", { name: "y" });
  expect(second.echo).toMatchObject({ boot: first.echo.boot, count: 2 });
  expect(await world.pods("team")).toHaveLength(1);
});
