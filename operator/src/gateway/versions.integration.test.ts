import { readFile } from "node:fs/promises";
import { InvokeCommand, type InvokeCommandOutput } from "@aws-sdk/client-lambda";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { useApiServer, useNats } from "../../testing/index.ts";
import { owner } from "../domain/rendezvous.ts";
import { HANDLER, NATS_CONFIG, type TestGateway, until, World } from "./testing/world.ts";

const apiServer = useApiServer();
const nats = useNats({ config: NATS_CONFIG });
let world: World;
let gateways: [TestGateway, TestGateway];

beforeAll(async () => {
  world = await World.create(apiServer(), nats());
  await world.account("team", "111111111111");
  gateways = [await world.gateway("gateway-a"), await world.gateway("gateway-b")];
});
afterAll(async () => {
  await world?.stop();
});
afterEach(({ task }) => {
  if (task.result?.state === "fail") process.stderr.write(world.log.slice(-30).join(""));
});

/** Code that tells which version it is. */
const codeOf = (version: string) => ({ "app.py": HANDLER.replace('"greeting": os.environ.get("GREETING")', `"greeting": "${version}"`) });

type Answer = InvokeCommandOutput & { code: string };

async function invoke(gateway: TestGateway, name: string, qualifier?: string, event: object = {}): Promise<Answer> {
  const output = await world.lambda(gateway, "team").send(
    new InvokeCommand({
      FunctionName: name,
      Payload: JSON.stringify(event),
      ...(qualifier === undefined ? {} : { Qualifier: qualifier }),
    }),
  );
  return { ...output, code: JSON.parse(Buffer.from(output.Payload ?? []).toString()).greeting };
}

const dryRun = (gateway: TestGateway, name: string, qualifier: string) =>
  world.lambda(gateway, "team").send(new InvokeCommand({ FunctionName: name, Qualifier: qualifier, InvocationType: "DryRun" }));

/** A function with versions 1 and 2 and an alias PROD of the first, known to both gateways. */
async function make(name: string): Promise<void> {
  await world.fn("team", name, { files: codeOf("$LATEST") });
  await world.version("team", name, 1, codeOf("1"));
  await world.version("team", name, 2, codeOf("2"));
  await world.alias("team", name, "PROD", "1");
  for (const gateway of gateways)
    for (const qualifier of ["$LATEST", "1", "2", "PROD"])
      await until(async () => dryRun(gateway, name, qualifier).catch(() => undefined), `${name}:${qualifier}`);
}

test("each qualifier runs its version's code in environments of its own, at the owner and through the other gateway", async () => {
  await make("published");
  for (const gateway of gateways) {
    for (const [qualifier, version] of [
      [undefined, "$LATEST"],
      ["$LATEST", "$LATEST"],
      ["2", "2"],
      ["PROD", "1"],
      ["1", "1"],
    ] as const) {
      const { code, ExecutedVersion } = await invoke(gateway, "published", qualifier);
      expect([code, ExecutedVersion]).toEqual([version, version]);
    }
    expect((await dryRun(gateway, "published", "PROD")).ExecutedVersion).toBe("1");
  }
  expect(await world.pods("team")).toHaveLength(3);
}, 60_000);

test.each(["7", "STAGE"])("the qualifier %s, which there is not, is not found", async (qualifier) => {
  await make(`missing-${qualifier.toLowerCase()}`);
  const name = `missing-${qualifier.toLowerCase()}`;
  await expect(invoke(gateways[0], name, qualifier)).rejects.toMatchObject({
    name: "ResourceNotFoundException",
    message: `Function not found: arn:aws:lambda:us-east-1:111111111111:function:${name}:${qualifier}`,
  });
});

test("a weighted alias shares the invocations by its weight", async () => {
  await make("weighted");
  await world.alias("team", "weighted", "PROD", "1", { "2": "0.25" });
  await until(async () => ((await dryRun(gateways[0], "weighted", "PROD")).ExecutedVersion === "2" ? true : undefined), "the weight");
  const calls = 2_000;
  let second = 0;
  for (let i = 0; i < calls / 50; i++) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => dryRun(gateways[0], "weighted", "PROD")));
    for (const { ExecutedVersion } of answers) if (ExecutedVersion === "2") second++;
  }
  // Five standard deviations of as many draws.
  expect(Math.abs(second / calls - 0.25)).toBeLessThan(5 * Math.sqrt((0.25 * 0.75) / calls));
}, 60_000);

test("alias and code change under load: no error, each answer is of one version, and no old one comes after the change was seen", async () => {
  const name = "moving";
  await make(name);
  const seen: { sent: number; received: number; code: string; executed: string | undefined; via: string }[] = [];
  let going = true;
  const callers = gateways.flatMap((gateway) =>
    [undefined, "PROD"].flatMap((qualifier) =>
      [0, 1].map(async () => {
        while (going) {
          const sent = performance.now();
          const { code, ExecutedVersion } = await invoke(gateway, name, qualifier);
          seen.push({ sent, received: performance.now(), code, executed: ExecutedVersion, via: qualifier ?? "" });
        }
      }),
    ),
  );
  await until(async () => (seen.length > 100 ? true : undefined), "load");
  await world.alias("team", name, "PROD", "2");
  await world.fn("team", name, { files: codeOf("new") });
  const changed = performance.now();
  await until(
    async () => (seen.filter(({ sent, code }) => sent > changed && code === "new").length > 100 ? true : undefined),
    "the change",
  );
  going = false;
  await Promise.all(callers);
  const late = seen.filter(({ sent }) => sent > changed + 1_000);
  expect(new Set(late.map(({ via, code }) => `${via}=${code}`))).toEqual(new Set(["=new", "PROD=2"]));
  for (const { code, executed } of seen) expect(executed).toBe(code === "new" ? "$LATEST" : code);
}, 60_000);

test("a function's limit holds while its owner is killed: what runs on there counts for the next owner", async () => {
  const third = await world.gatewayProcess("gateway-c");
  const name = Array.from({ length: 100 }, (_, i) => `capped-${i}`).find(
    (name) => owner(["gateway-a", "gateway-b", "gateway-c"], `team/${name}`) === "gateway-c",
  );
  if (name === undefined) throw new Error("no name is owned by the third gateway");
  const limit = 3;
  const code = `
import time
def handler(event, context):
    with open(event["file"], "a") as f: f.write(f"{time.monotonic()} 1\\n")
    time.sleep(event["sleep"])
    with open(event["file"], "a") as f: f.write(f"{time.monotonic()} -1\\n")
    return {"greeting": "done"}
`;
  const file = `${world.folder}/runs-${name}`;
  await world.fn("team", name, { files: { "app.py": code }, spec: { reservedConcurrentExecutions: limit } });
  for (const gateway of gateways) await until(async () => dryRun(gateway, name, "$LATEST").catch(() => undefined), name);
  let going = true;
  const outcomes = { done: 0, throttled: 0, lost: 0 };
  const callers = gateways.flatMap((gateway) =>
    Array.from({ length: 4 }, async () => {
      while (going) {
        const outcome = await invoke(gateway, name, undefined, { file, sleep: 0.4 }).then(
          () => "done" as const,
          ({ name: error }: Error) => (error === "TooManyRequestsException" ? ("throttled" as const) : ("lost" as const)),
        );
        outcomes[outcome]++;
        if (outcome !== "done") await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }),
  );
  await until(async () => (outcomes.done >= 6 ? true : undefined), "load");
  await third.kill();
  const before = outcomes.done;
  await until(async () => (outcomes.done >= before + 6 ? true : undefined), "the next owner");
  going = false;
  await Promise.all(callers);
  const { most, total } = overlap(await readFile(file, "utf8"));
  expect([most, total > 10, outcomes.throttled > 0]).toEqual([limit, true, true]);
  // Only those whose event was with the owner when it died.
  expect(outcomes.lost).toBeLessThanOrEqual(callers.length);
}, 90_000);

/** How many ran at the same time at most, of lines with a time and a beginning (1) or end (-1). */
function overlap(lines: string): { most: number; total: number } {
  const changes = lines
    .trim()
    .split("\n")
    .map((line) => line.split(" ").map(Number) as [at: number, change: number])
    .sort(([a], [b]) => a - b);
  let running = 0;
  let most = 0;
  for (const [, change] of changes) {
    running += change;
    most = Math.max(most, running);
  }
  return { most, total: changes.length / 2 };
}
