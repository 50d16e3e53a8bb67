/** Pools: what waits there, who gets it, and that none of it is more than it should be. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Account, makeAccount, removeAccount } from "../support/account.ts";
import { kappaRequests } from "../support/audit.ts";
import { apply, eventually, kubectl, type Pod, pods, pythonFunction } from "../support/cluster.ts";
import { withGateways } from "../support/gateways.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";

const namespace = "e2e-pools";
const client = lambdaClient(1);
let account: Account;

const ECHO = "import os\ndef handler(event, context):\n    return {'variables': dict(os.environ)}\n";
const inAccount = (fn: object): object => {
  const { metadata, ...rest } = fn as { metadata: object };
  return { ...rest, metadata: { ...metadata, namespace } };
};
const deploy = async (...functions: object[]): Promise<void> => {
  await apply(...functions.map(inAccount));
  await kubectl("wait", "--for=condition=Ready", "--timeout=120s", "-n", namespace, "function", "--all");
};
const environments = async () =>
  (await pods(namespace, "kappa.dev/component=environment")).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
const pooled = async (runtime: string) =>
  (await environments()).filter(
    ({ metadata }) => metadata.annotations?.["kappa.dev/assignment"] === undefined && metadata.labels?.["kappa.dev/runtime"] === runtime,
  );
const isRunning = ({ status }: Pod) => status.phase === "Running";
/** Pods of a pool whose agents have had the time to come. */
const poolOf = (runtime: string): Promise<Pod[]> =>
  eventually(`the pool of ${runtime} is there`, async () => {
    const found = (await pooled(runtime)).filter(isRunning);
    return found.length > 0 ? found : undefined;
  });
const podOf = (name: string): Promise<Pod> =>
  eventually(`the environment of ${name} is known by its annotation`, async () =>
    (await environments()).find(({ metadata }) => metadata.annotations?.["kappa.dev/function"] === name),
  );
interface Sized {
  spec: { containers: { resources: { limits: { memory: string; cpu: string } } }[] };
}
const limitsOf = (pod: Pod) => (pod as unknown as Sized).spec.containers[0]?.resources.limits;

beforeAll(async () => {
  account = await makeAccount(namespace);
});
afterAll(() => removeAccount(namespace));

test("nothing is kept for an account without functions", async () => {
  await new Promise((r) => setTimeout(r, 5_000));
  expect(await environments()).toEqual([]);
});

describe("with a function", () => {
  beforeAll(() => deploy(pythonFunction("first", ECHO, { memorySize: 256 })));

  test("its runtime has a pool, and no other has one", async () => {
    const [pod] = await poolOf("python3.11");
    expect(pod?.metadata.labels).not.toHaveProperty("kappa.dev/function");
    for (const runtime of ["nodejs24.x", "nodejs22.x", "java17", "provided.al2023"]) expect(await pooled(runtime)).toEqual([]);
  });

  test("its first event runs in a pod of the pool, which becomes its own and shrinks to its size; the pool is filled again", async () => {
    const before = new Set((await poolOf("python3.11")).map(({ metadata }) => metadata.uid));
    const { payload, functionError } = await invoke(client, account.arn("first"), {});
    expect(functionError).toBeUndefined();
    expect(payload.variables.AWS_LAMBDA_FUNCTION_NAME).toBe("first");
    const pod = await podOf("first");
    expect(before).toContain(pod.metadata.uid);
    await eventually("the pod has the function's size", async () => {
      const limits = limitsOf(await podOf("first"));
      return limits?.memory === "320Mi" ? true : undefined;
    });
    await eventually("the pool has a new pod", async () =>
      (await pooled("python3.11")).some(({ metadata }) => !before.has(metadata.uid)) ? true : undefined,
    );
  });

  test("a function that does not fit gets a pod of its own", async () => {
    await deploy(pythonFunction("large", ECHO, { memorySize: 3008 }), pythonFunction("roomy", ECHO, { ephemeralStorage: { size: 1024 } }));
    const before = new Set((await poolOf("python3.11")).map(({ metadata }) => metadata.uid));
    for (const name of ["large", "roomy"]) {
      expect((await invoke(client, account.arn(name), {})).payload.variables.AWS_LAMBDA_FUNCTION_NAME).toBe(name);
      const pod = await podOf(name);
      expect(before).not.toContain(pod.metadata.uid);
      expect(pod.metadata.labels?.["kappa.dev/function"]).toBe(name);
    }
  });

  test("and its runtime has started before it had its function, unless variables act at that start", async () => {
    const source = `def handler(event, context):\n    return b"_HANDLER=" in open("/proc/self/environ", "rb").read()\n`;
    const variables = { PYTHONOPTIMIZE: "1" };
    await deploy(
      pythonFunction("ahead", source, { memorySize: 3008 }),
      pythonFunction("afresh", source, { memorySize: 3008, environment: { variables } }),
    );
    expect((await invoke(client, account.arn("ahead"), {})).payload).toBe(false);
    expect((await invoke(client, account.arn("afresh"), {})).payload).toBe(true);
  });

  test("variables that act at the start of a process act in a pooled pod as well", async () => {
    const source = "import sys\ndef handler(event, context):\n    return {'optimized': sys.flags.optimize}\n";
    await deploy(pythonFunction("started", source, { environment: { variables: { PYTHONOPTIMIZE: "1" } } }));
    await poolOf("python3.11");
    expect((await invoke(client, account.arn("started"), {})).payload).toEqual({ optimized: 1 });
  });

  test("a cold start from the pool costs the API server two writes, and a warm event none", { timeout: 200_000 }, async () => {
    const names = Array.from({ length: 5 }, (_, i) => `written-${i}`);
    await deploy(...names.map((name) => pythonFunction(name, ECHO)));
    await new Promise((r) => setTimeout(r, 15_000));
    for (const name of names) {
      const [pod] = await poolOf("python3.11");
      const since = Date.now();
      await invoke(client, account.arn(name), {});
      const mine = await podOf(name);
      await eventually("the pod was resized", async () => (limitsOf(await podOf(name))?.memory === "192Mi" ? true : undefined));
      const writes = (await kappaRequests(since, Date.now())).filter(
        ({ writes, objectRef }) => writes && objectRef?.namespace === namespace && objectRef.name === mine.metadata.name,
      );
      expect(pod).toBeDefined();
      expect(writes.length).toBeGreaterThan(0);
      expect(
        writes.map(({ verb, objectRef }) => `${verb} ${objectRef?.resource}/${objectRef?.subresource ?? ""}`).length,
      ).toBeLessThanOrEqual(2);
    }
    const since = Date.now();
    for (let i = 0; i < 50; i++) await invoke(client, account.arn(names[0] ?? ""), {});
    const until = Date.now();
    const requests = (await kappaRequests(since, until)).filter(({ verb }) => verb !== "watch");
    const told = (which: (of: string | undefined) => boolean) =>
      requests.filter(({ objectRef }) => which(objectRef?.namespace)).map(({ verb, objectRef }) => `${verb} ${objectRef?.resource}`);
    expect(told((of) => of === namespace)).toEqual([]);
    // Of the cluster only what the clock has them ask, such as a review whose answer has grown old: far from one for each event.
    expect(told((of) => of === undefined).length, String(told((of) => of === undefined))).toBeLessThanOrEqual(5);
  });

  test("a new run of the gateways does not double it", { timeout: 300_000 }, async () => {
    await poolOf("python3.11");
    await new Promise((r) => setTimeout(r, 10_000));
    const before = (await pooled("python3.11")).length;
    await kubectl("rollout", "restart", "-n", "kappa-system", "deployment/kappa-gateway");
    await kubectl("rollout", "status", "-n", "kappa-system", "deployment/kappa-gateway", "--timeout=200s");
    await withGateways(async (gateways) => expect(gateways.length).toBeGreaterThanOrEqual(2));
    let most = 0;
    for (let i = 0; i < 20; i++) {
      most = Math.max(most, (await pooled("python3.11")).length);
      await new Promise((r) => setTimeout(r, 500));
    }
    // One may be replaced because the gateway that made it is gone.
    expect(most).toBeLessThanOrEqual(before + 1);
    expect((await invoke(lambdaClient(), account.arn("first"), {})).status).toBe(200);
  });
});

test("nothing is kept once the functions are gone", async () => {
  await kubectl("delete", "function", "-n", namespace, "--all", "--wait=true");
  await eventually("every environment is gone", async () => ((await environments()).length === 0 ? true : undefined), 180_000);
});
