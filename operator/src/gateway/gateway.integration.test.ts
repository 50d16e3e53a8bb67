import { InvokeCommand, type InvokeCommandOutput, type LambdaClient } from "@aws-sdk/client-lambda";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { useApiServer, useNats } from "../../testing/index.ts";
import { Resources } from "../kube/objects.ts";
import { HANDLER, NATS_CONFIG, type TestGateway, until, World } from "./testing/world.ts";

const apiServer = useApiServer();
const nats = useNats({ config: NATS_CONFIG });
let world: World;
let gateway: TestGateway;
let lambda: LambdaClient;

beforeAll(async () => {
  world = await World.create(apiServer(), nats());
  await world.account("team", "111111111111");
  await world.account("other", "222222222222");
  gateway = await world.gateway("gateway-a");
  lambda = world.lambda(gateway, "team");
});
afterAll(async () => {
  await world?.stop();
});
afterEach(({ task }) => {
  if (task.result?.state === "fail") process.stderr.write(world.log.slice(-30).join(""));
});

interface Echo {
  event: Record<string, unknown>;
  boot: string;
  count: number;
  requestId: string;
  arn: string;
  custom: unknown;
  greeting: string | null;
}

type Invoked = InvokeCommandOutput & { echo: Echo };

async function invoke(name: string, event: unknown, over: Partial<InvokeCommand["input"]> = {}, client = lambda): Promise<Invoked> {
  const payload = event === undefined ? {} : { Payload: JSON.stringify(event) };
  const command = new InvokeCommand({ FunctionName: name, ...payload, ...over });
  const output = await until(
    () => client.send(command).catch((error: Error) => (made.has(name) && isPending(error) ? undefined : Promise.reject(error))),
    `the state of ${name}`,
  );
  return { ...output, echo: JSON.parse(Buffer.from(output.Payload ?? []).toString() || "null") };
}

/** Functions that are active by now, of which a gateway may have seen the object before its status. */
const made = new Set<string>();
const isPending = ({ name, message }: Error) => name === "ResourceConflictException" && message.endsWith("state: Pending");

/** What AWS's client throws. */
async function refusal(call: Promise<unknown>): Promise<{ name: string; status: number | undefined; message: string; Reason?: string }> {
  const error = await call.then(
    () => undefined,
    (e: unknown) => e as Error & { $metadata?: { httpStatusCode?: number }; Reason?: string },
  );
  if (!error) throw new Error("was accepted");
  return {
    name: error.name,
    status: error.$metadata?.httpStatusCode,
    message: error.message,
    ...(error.Reason === undefined ? {} : { Reason: error.Reason }),
  };
}

/** Makes a function and waits until the gateway has heard of it, without starting an environment. */
async function make(name: string, spec: Parameters<World["fn"]>[2] = {}, namespace = "team"): Promise<void> {
  await world.fn(namespace, name, spec);
  made.add(name);
  const client = world.lambda(gateway, namespace);
  await until(
    async () => client.send(new InvokeCommand({ FunctionName: name, InvocationType: "DryRun" })).catch(() => undefined),
    `function ${name}`,
  );
}

const podsOf = async (name: string, namespace = "team") =>
  (await world.pods(namespace)).filter((pod) => pod.metadata.name.startsWith(`${name}-`));

describe("an invocation", () => {
  beforeAll(() => make("hello", { over: { environment: { GREETING: "salut" } } }));

  test("gets the function's answer, and the next one comes from the same environment", async () => {
    const first = await invoke("hello", { name: "x" });
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
    expect(await podsOf("hello")).toHaveLength(1);
  });

  test.each([
    ["partial ARN", "111111111111:function:hello", "arn:aws:lambda:us-east-1:111111111111:function:hello"],
    ["ARN", "arn:aws:lambda:us-east-1:111111111111:function:hello", "arn:aws:lambda:us-east-1:111111111111:function:hello"],
    ["name with qualifier", "hello:$LATEST", "arn:aws:lambda:us-east-1:111111111111:function:hello:$LATEST"],
  ])("finds the function by %s", async (_, name, arn) => {
    expect((await invoke(name, {})).echo.arn).toBe(arn);
  });

  test("carries the client context and returns the end of the log", async () => {
    const context = Buffer.from(JSON.stringify({ custom: { a: "ü" } })).toString("base64");
    const { echo, LogResult } = await invoke("hello", { print: "printed line" }, { ClientContext: context, LogType: "Tail" });
    expect(echo.custom).toEqual({ a: "ü" });
    const log = Buffer.from(LogResult ?? "", "base64").toString();
    expect(log).toMatch(/START RequestId: .*printed line.*END RequestId: .*REPORT RequestId: /s);
    expect(log).toContain(echo.requestId);
  });

  test("without a payload hands the function an empty object", async () => {
    expect((await invoke("hello", undefined)).echo.event).toEqual({});
  });

  test("of a dry run answers 204 and starts nothing", async () => {
    await make("dry");
    const { StatusCode } = await lambda.send(new InvokeCommand({ FunctionName: "dry", InvocationType: "DryRun", Payload: "{}" }));
    expect(StatusCode).toBe(204);
    expect(await podsOf("dry")).toHaveLength(0);
  });

  test("carries six megabytes each way", async () => {
    const data = "x".repeat(6_000_000);
    expect((await invoke("hello", { data })).echo.event.data).toBe(data);
  });
});

describe("a refused request gets Lambda's answer:", () => {
  beforeAll(async () => {
    await make("fine");
    await world.fn("team", "pending", { status: { state: "Pending" } });
    await world.client.mergePatch(
      Resources.function,
      { namespace: "team", name: "pending" },
      { status: { effective: null } },
      { subresource: "status" },
    );
    await world.fn("team", "badzip", {
      status: { state: "Failed", stateReason: "The zip has no end.", stateReasonCode: "InvalidZipFileException" },
    });
    await world.client.mergePatch(
      Resources.function,
      { namespace: "team", name: "badzip" },
      { status: { effective: null } },
      { subresource: "status" },
    );
    await until(async () => ((await refusal(invoke("badzip", {}))).status === 502 ? true : undefined), "the bad zip");
  });

  test.each<[string, () => Promise<unknown>, string, number, string]>([
    [
      "unknown function",
      () => invoke("nowhere", {}),
      "ResourceNotFoundException",
      404,
      "Function not found: arn:aws:lambda:us-east-1:111111111111:function:nowhere:$LATEST",
    ],
    ["unknown version", () => invoke("fine", {}, { Qualifier: "7" }), "ResourceNotFoundException", 404, "function:fine:7"],
    [
      "another region",
      () => invoke("arn:aws:lambda:eu-west-1:111111111111:function:fine", {}),
      "ResourceNotFoundException",
      404,
      "not reachable in this region",
    ],
    [
      "a function that is being created",
      () => invoke("pending", {}),
      "ResourceConflictException",
      409,
      "The function is currently in the following state: Pending",
    ],
    ["a function whose package is bad", () => invoke("badzip", {}), "InvalidZipFileException", 502, "The zip has no end."],
    [
      "a payload that is no JSON",
      () => invoke("fine", {}, { Payload: "nope" }),
      "InvalidRequestContentException",
      400,
      "Could not parse request body into json:",
    ],
    ["a payload over 6 MB", () => invoke("fine", "x".repeat(6_291_456)), "RequestTooLargeException", 413, "smaller than 6291456 bytes"],
    [
      "an asynchronous call",
      () => invoke("fine", {}, { InvocationType: "Event" }),
      "InvalidParameterValueException",
      400,
      "not served by this release",
    ],
    [
      "a wrong secret",
      () => invoke("fine", {}, {}, world.lambda(gateway, "team", { secret: "w".repeat(40) })),
      "InvalidSignatureException",
      403,
      "does not match the signature",
    ],
    [
      "an unknown key",
      () => invoke("fine", {}, {}, world.lambda(gateway, "team", { as: "nobody" })),
      "UnrecognizedClientException",
      403,
      "security token included in the request is invalid",
    ],
    [
      "a caller without permission",
      () => invoke("fine", {}, {}, world.lambda(gateway, "team", { as: "stranger" })),
      "AccessDeniedException",
      403,
      "system:serviceaccount:team:stranger is not authorized",
    ],
    [
      "a caller of another account",
      () => invoke("arn:aws:lambda:us-east-1:111111111111:function:fine", {}, {}, world.lambda(gateway, "other")),
      "AccessDeniedException",
      403,
      "namespace 'team'",
    ],
  ])("%s", async (_, call, name, status, message) => {
    const error = await refusal(call());
    expect(error).toMatchObject({ name, status });
    expect(error.message).toContain(message);
    expect(await podsOf("fine")).toHaveLength(0);
  });

  test("an unknown path, and a request without credentials", async () => {
    const unknown = await fetch(`${gateway.url}/2015-03-31/functions/`, { method: "GET" });
    expect([unknown.status, unknown.headers.get("x-amzn-errortype")]).toEqual([404, "UnknownOperationException"]);
    const anonymous = await fetch(`${gateway.url}/2015-03-31/functions/fine/invocations`, { method: "POST", body: "{}" });
    expect([anonymous.status, anonymous.headers.get("x-amzn-errortype")]).toEqual([403, "MissingAuthenticationTokenException"]);
  });
});

describe("a Kubernetes token", () => {
  const post = async (token: string, name: string) =>
    fetch(`${gateway.url}/2015-03-31/functions/${encodeURIComponent(name)}/invocations`, {
      method: "POST",
      body: "{}",
      headers: { authorization: `Bearer ${token}` },
    });

  test("of a ServiceAccount that may invoke is taken for a signature", async () => {
    await make("fortoken");
    const answer = await post(await world.token("team", "caller"), "fortoken");
    expect([answer.status, answer.headers.get("x-amz-executed-version")]).toEqual([200, "$LATEST"]);
  });

  test("of one that may not, or that is none, is refused", async () => {
    const denied = await post(await world.token("team", "stranger"), "fortoken");
    expect([denied.status, denied.headers.get("x-amzn-errortype")]).toEqual([403, "AccessDeniedException"]);
    const invented = await post("ey.not.real", "fortoken");
    expect([invented.status, invented.headers.get("x-amzn-errortype")]).toEqual([403, "UnrecognizedClientException"]);
  });
});

describe("a function that fails", () => {
  test("by an exception tells of it in Lambda's form, and goes on", async () => {
    await make("raises");
    const failed = await invoke("raises", { fail: "no good" });
    expect(failed).toMatchObject({
      StatusCode: 200,
      FunctionError: "Unhandled",
      echo: { errorMessage: "no good", errorType: "ValueError" },
    });
    const next = await invoke("raises", {});
    expect(next.FunctionError).toBeUndefined();
    expect(next.echo.count).toBe(2);
  });

  test("by exiting, and the next invocation works", async () => {
    await make("exits");
    const failed = await invoke("exits", { exit: 1 });
    expect(failed).toMatchObject({ FunctionError: "Unhandled", echo: { errorType: "Runtime.ExitError" } });
    expect((await invoke("exits", { again: 1 })).echo.event).toEqual({ again: 1 });
  });

  test("by taking longer than it may", async () => {
    await make("slow", { over: { timeout: 1 } });
    const failed = await invoke("slow", { sleep: 30 });
    expect(failed).toMatchObject({
      FunctionError: "Unhandled",
      echo: { errorType: "Sandbox.Timedout", errorMessage: expect.stringContaining("Task timed out after 1.00 seconds") },
    });
    expect((await invoke("slow", { again: 1 })).echo.event).toEqual({ again: 1 });
  });

  test("while it is initialised gets each caller its error, and nobody else's environment", async () => {
    await make("noinit", { files: { "app.py": "raise RuntimeError('no start')\ndef handler(event, context): pass\n" } });
    const failed = await invoke("noinit", {});
    expect(failed).toMatchObject({
      StatusCode: 200,
      FunctionError: "Unhandled",
      echo: { errorMessage: "no start", errorType: "RuntimeError" },
    });
    expect(await invoke("noinit", {})).toMatchObject({ FunctionError: "Unhandled" });
    await make("noinit", {});
    expect((await invoke("noinit", { fixed: 1 })).echo).toMatchObject({ event: { fixed: 1 } });
    await until(async () => ((await podsOf("noinit")).length === 1 ? true : undefined), "the failed environments to go");
  });
});

describe("concurrency", () => {
  test("a burst of first requests starts as many environments, and each serves one event at a time", async () => {
    await make("burst");
    const before = world.podsSeen.size;
    const answers = await Promise.all(Array.from({ length: 5 }, (_, i) => invoke("burst", { i, sleep: 2 })));
    expect(answers.map(({ echo }) => echo.event.i)).toEqual([0, 1, 2, 3, 4]);
    expect(new Set(answers.map(({ echo }) => echo.boot)).size).toBe(5);
    expect(world.podsSeen.size - before).toBe(5);
    const again = await Promise.all(Array.from({ length: 5 }, (_, i) => invoke("burst", { i, sleep: 0.3 })));
    expect(new Set(again.map(({ echo }) => echo.boot))).toEqual(new Set(answers.map(({ echo }) => echo.boot)));
  });

  test("a reservation is a limit, with Lambda's reason, and 0 stops the function", async () => {
    await make("capped", { spec: { reservedConcurrentExecutions: 1 } });
    const running = invoke("capped", { sleep: 3 });
    await until(async () => ((await podsOf("capped")).length === 1 ? true : undefined), "the first to run");
    expect(await refusal(invoke("capped", {}))).toMatchObject({
      name: "TooManyRequestsException",
      status: 429,
      message: "Rate Exceeded.",
      Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
    });
    expect((await running).StatusCode).toBe(200);
    expect((await invoke("capped", {})).StatusCode).toBe(200);
    await make("stopped", { spec: { reservedConcurrentExecutions: 0 } });
    expect(await refusal(invoke("stopped", {}))).toMatchObject({
      status: 429,
      Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
    });
    const text = await gateway.metrics.registry.metrics();
    expect(text).toContain('kappa_throttles_total{namespace="team",function="capped"} 1');
    expect(text).toContain('kappa_invocations_total{namespace="team",function="capped"} 2');
  });
});

describe("an update", () => {
  test("is served by new environments only, and the former ones go", async () => {
    await make("changing");
    const old = (await invoke("changing", {})).echo.boot;
    const running = invoke("changing", { sleep: 3 });
    await world.fn("team", "changing", { files: { "app.py": HANDLER.replace('"event": event', '"event": {"version": 2}') } });
    const next = await until(async () => {
      const { echo } = await invoke("changing", {});
      return echo.event.version === 2 ? echo : undefined;
    }, "the update");
    expect(next.boot).not.toBe(old);
    expect((await running).echo.boot).toBe(old);
    for (let i = 0; i < 5; i++) expect((await invoke("changing", {})).echo.event).toEqual({ version: 2 });
    await until(async () => ((await podsOf("changing")).length === 1 ? true : undefined), "the former environment to go");
  });

  test("a deleted function is not found any more, and its environments end", async () => {
    await make("deleted");
    await invoke("deleted", {});
    await world.client.delete(Resources.function, { namespace: "team", name: "deleted" });
    await until(
      async () => ((await refusal(invoke("deleted", {})).catch(() => undefined))?.status === 404 ? true : undefined),
      "the function to be gone",
    );
    await until(async () => ((await podsOf("deleted")).length === 0 ? true : undefined), "its environment to go");
  });
});

describe("an environment that is lost", () => {
  test("during an event: the caller may retry, and the next invocation works", async () => {
    await make("killed");
    await invoke("killed", {});
    const [pod] = await podsOf("killed");
    const running = refusal(invoke("killed", { sleep: 20 }));
    await new Promise((resolve) => setTimeout(resolve, 500));
    await world.agents.get(`team/${pod?.metadata.name}`)?.signal("SIGKILL");
    expect(await running).toMatchObject({ name: "ServiceException", status: 500 });
    const next = await invoke("killed", { again: 1 });
    expect(next.echo).toMatchObject({ event: { again: 1 }, count: 1 });
  });

  test("without a word, as when its node is dead, during an event: the caller hears of it within seconds", async () => {
    await make("silent", { over: { timeout: 60 } });
    await invoke("silent", {});
    const [pod] = await podsOf("silent");
    const running = refusal(invoke("silent", { sleep: 50 }));
    await new Promise((resolve) => setTimeout(resolve, 500));
    await world.agents.get(`team/${pod?.metadata.name}`)?.signal("SIGSTOP");
    expect(await running).toMatchObject({ name: "ServiceException", status: 500 });
    expect((await invoke("silent", { again: 1 })).echo.event).toEqual({ again: 1 });
  });

  test("while it is idle: nobody notices", async () => {
    await make("vanishing");
    await invoke("vanishing", {});
    const [pod] = await podsOf("vanishing");
    await world.client.delete(Resources.pod, { namespace: "team", name: pod?.metadata.name ?? "" });
    for (let i = 0; i < 5; i++) expect((await invoke("vanishing", { i })).echo.event).toEqual({ i });
    await until(
      async () => ((await podsOf("vanishing")).every((p) => p.metadata.uid !== pod?.metadata.uid) ? true : undefined),
      "the pod to go",
    );
  });
});

test("of a thousand mixed calls each caller gets its own answer", async () => {
  const names = ["mix-a", "mix-b", "mix-c"];
  await Promise.all(names.map((name) => make(name)));
  let crossed = 0;
  let errors = 0;
  const call = async (i: number) => {
    const name = names[i % names.length] ?? "";
    const fail = i % 17 === 0 ? { fail: `error ${i}` } : {};
    const { echo, FunctionError, $metadata } = await invoke(name, { i, name, ...fail });
    if (FunctionError) {
      errors++;
      if ((echo as unknown as { errorMessage: string }).errorMessage !== `error ${i}`) crossed++;
    } else if (echo.event.i !== i || echo.requestId !== $metadata.requestId || !echo.arn.endsWith(`:${name}`)) crossed++;
  };
  let next = 0;
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      for (let i = next++; i < 1000; i = next++) await call(i);
    }),
  );
  expect({ crossed, errors }).toEqual({ crossed: 0, errors: Math.ceil(1000 / 17) });
}, 120_000);

test("with NATS and the API server away, warm functions go on", async () => {
  await make("warm");
  await invoke("warm", {});
  await nats().kill();
  await apiServer().stop();
  for (let i = 0; i < 20; i++) expect((await invoke("warm", { i })).echo.event).toEqual({ i });
});
