import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { useApiServer, useNats } from "../../testing/index.ts";
import { type KubeObject, Resources } from "../kube/objects.ts";
import { NATS_CONFIG, type TestGateway, until, World } from "./testing/world.ts";

const apiServer = useApiServer();
const nats = useNats({ config: NATS_CONFIG });
let world: World;
let a: TestGateway;

/** Calls another function with AWS's own client, as code written for Lambda does, and says what became of it. */
const CALLER = `
import os, boto3
from botocore.exceptions import ClientError
def handler(event, context):
    if event.get("keys"):
        return {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_LAMBDA")}
    client = boto3.client("lambda", endpoint_url=event["endpoint"])
    try:
        if event.get("stream"):
            return [list(part)[0] for part in client.invoke_with_response_stream(FunctionName="callee")["EventStream"]]
        return client.invoke(FunctionName="callee", Payload=b'{"from":"caller"}')["Payload"].read().decode()
    except ClientError as error:
        return {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
`;
const CALLEE = "def handler(event, context):\n    return event\n";

beforeAll(async () => {
  world = await World.create(apiServer(), nats());
  await world.account("team", "111111111111");
  a = await world.gateway("gateway-a");
  await world.client.create(Resources.serviceAccount, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: "orders", namespace: "team" },
  });
  await world.client.create(Resources.roleBinding, {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: { name: "orders", namespace: "team" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "invoker" },
    subjects: [{ kind: "ServiceAccount", name: "orders", namespace: "team" }],
  } as KubeObject);
  const files = { "app.py": CALLER };
  await world.fn("team", "callee", { files: { "app.py": CALLEE } });
  await world.fn("team", "allowed", { files, over: { role: "orders", timeout: 30 } });
  await world.fn("team", "refused", { files, over: { role: "stranger", timeout: 30 } });
  await world.fn("team", "roleless", { files: { "app.py": CALLEE }, over: { role: "not-there" } });
  for (const name of ["callee", "allowed", "refused", "roleless"])
    await until(
      async () =>
        world
          .lambda(a, "team")
          .send(new InvokeCommand({ FunctionName: name, InvocationType: "DryRun" }))
          .catch(() => undefined),
      `function ${name}`,
    );
});
afterAll(async () => {
  await world?.stop();
});
afterEach(({ task }) => {
  if (task.result?.state === "fail") process.stderr.write(world.log.slice(-30).join(""));
});

async function invoke(name: string, event: unknown, client = world.lambda(a, "team")): Promise<unknown> {
  const { Payload } = await client.send(new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(event) }));
  return JSON.parse(Buffer.from(Payload ?? []).toString());
}

/** What a function's SDK would use. */
async function keysOf(name: string) {
  const keys = (await invoke(name, { keys: true })) as Record<string, string>;
  return {
    endpoint: keys.AWS_ENDPOINT_URL_LAMBDA,
    credentials: {
      accessKeyId: keys.AWS_ACCESS_KEY_ID ?? "",
      secretAccessKey: keys.AWS_SECRET_ACCESS_KEY ?? "",
      sessionToken: keys.AWS_SESSION_TOKEN ?? "",
    },
  };
}

function clientWith(credentials: { accessKeyId: string; secretAccessKey: string; sessionToken: string }, gateway = a): LambdaClient {
  return new LambdaClient({ region: "us-east-1", endpoint: gateway.url, credentials, maxAttempts: 1 });
}

const codeOf = async (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "accepted",
    (error: Error) => `${error.name}: ${error.message}`,
  );

test("a function calls another with boto3 as its role, where that may", async () => {
  expect(await invoke("allowed", { endpoint: a.url })).toBe('{"from": "caller"}');
  expect(await invoke("allowed", { endpoint: a.url, stream: true })).toEqual(["PayloadChunk", "InvokeComplete"]);
});

test("and is refused as on AWS where its role may not", async () => {
  expect(await invoke("refused", { endpoint: a.url })).toEqual({
    code: "AccessDeniedException",
    message: expect.stringContaining("User: system:serviceaccount:team:stranger is not authorized to perform: lambda:InvokeFunction"),
  });
});

test("a function is told where Lambda's API is", async () => {
  expect((await keysOf("allowed")).endpoint).toBe("http://kappa-gateway.kappa-system.svc.cluster.local:80");
});

test("its credentials do not work with another secret, nor changed, nor without their token", async () => {
  const { credentials } = await keysOf("allowed");
  const call = (over: object) => codeOf(invoke("callee", {}, clientWith({ ...credentials, ...over })));
  expect(await call({})).toBe("accepted");
  expect(await call({ secretAccessKey: "another" })).toMatch(/^InvalidSignatureException: The request signature we calculated/);
  const invalid = "UnrecognizedClientException: The security token included in the request is invalid.";
  expect(await call({ sessionToken: `${credentials.sessionToken.slice(0, -4)}AAAA` })).toBe(invalid);
  expect(await call({ accessKeyId: "ASIAAAAAAAAAAAAAAAAA" })).toBe(invalid);
  expect(await call({ sessionToken: undefined })).toBe(invalid);
});

test("they are good at once at a gateway that has just started, and no longer than the environment", async () => {
  const { credentials } = await keysOf("allowed");
  const b = await world.gateway("gateway-b");
  expect(await codeOf(invoke("callee", {}, clientWith(credentials, b)))).toBe("accepted");
  const [pod] = (await world.pods("team")).filter(({ metadata }) => metadata.name.startsWith("allowed-"));
  const { name = "", uid } = pod?.metadata ?? {};
  await world.client.delete(Resources.pod, { namespace: "team", name, uid, gracePeriodSeconds: 0 });
  for (const gateway of [a, b])
    await until(
      async () => (await codeOf(invoke("callee", {}, clientWith(credentials, gateway)))).startsWith("ExpiredTokenException") || undefined,
      "the credentials to be refused",
    );
  expect(await codeOf(invoke("callee", {}, clientWith(credentials)))).toBe(
    "ExpiredTokenException: The security token included in the request is expired",
  );
});

test("the role's Kubernetes token lies where Kubernetes' clients look, and the API server knows it", async () => {
  await invoke("allowed", { keys: true });
  const agent = [...world.agents].find(([key]) => key.startsWith("team/allowed-"))?.[1];
  const read = (file: string) => readFile(join(agent?.roleFolder ?? "", file), "utf8");
  const token = await until(async () => read("token").catch(() => undefined), "the token");
  expect([await read("namespace"), await read("ca.crt")]).toEqual(["team", await world.client.certificateAuthority()]);
  const review = await world.client.post<{ status: { user: { username: string } } }>("/apis/authentication.k8s.io/v1/tokenreviews", {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenReview",
    spec: { token },
  });
  expect(review.status.user.username).toBe("system:serviceaccount:team:orders");
});

test("a function whose ServiceAccount does not exist runs without one, and that is told once", async () => {
  for (let i = 0; i < 3; i++) expect(await invoke("roleless", { i })).toEqual({ i });
  const told = world.log.filter(
    (line) => line.includes('"serviceAccount":"not-there"') && line.includes("runs without a Kubernetes token"),
  );
  expect(told).toHaveLength(1);
});
