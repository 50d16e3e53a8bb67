/** Provisioned concurrency: environments that are there before their first event, and what goes beyond them. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  apply,
  applyAndWait,
  deleteFunctions,
  environmentPods,
  eventually,
  kubectl,
  kubectlJson,
  pythonFunction,
} from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";

/** Anew for each run: the first version of a name is number 1 once only. */
const name = `e2e-provisioned-${Date.now().toString(36)}`;
const WANTED = 2;
const client = lambdaClient(1);
const SOURCE = `
import os, time
time.sleep(1)  # what a caller would wait for on demand

def handler(event, context):
    time.sleep(event.get("ms", 0) / 1000)
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]]
`;
const alias = (provisioned?: number): object => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Alias",
  metadata: { name: `${name}-live`, namespace: "default" },
  spec: {
    functionName: name,
    name: "live",
    functionVersion: "1",
    ...(provisioned === undefined ? {} : { provisionedConcurrentExecutions: provisioned }),
  },
});

interface Provisioned {
  status?: {
    provisionedConcurrency?: {
      status: string;
      statusReason?: string;
      requestedProvisionedConcurrentExecutions: number;
      allocatedProvisionedConcurrentExecutions?: number;
    };
  };
}
const stateOf = async () =>
  (await kubectlJson<Provisioned>("get", "alias", "-n", "default", `${name}-live`)).status?.provisionedConcurrency;
const provisionedPods = async () =>
  (await environmentPods(name)).filter(
    ({ metadata }) => metadata.annotations?.["kappa.dev/provisioned"] === "live" && metadata.deletionTimestamp === undefined,
  );

beforeAll(async () => {
  await applyAndWait(pythonFunction(name, SOURCE, { memorySize: 256, timeout: 30 }));
  await apply({
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Version",
    metadata: { name: `${name}-1`, namespace: "default" },
    spec: { functionName: name },
  });
  await kubectl("wait", "--for=condition=Ready", "--timeout=60s", "-n", "default", `version/${name}-1`);
});
afterAll(async () => {
  await kubectl("delete", "alias", "-n", "default", "--ignore-not-found", `${name}-live`);
  await deleteFunctions(name);
});

test("it is in progress, then ready, with as many environments as were asked for", async () => {
  await apply(alias(WANTED));
  const state = await eventually("provisioned concurrency is ready", async () => {
    const now = await stateOf();
    expect(["IN_PROGRESS", "READY", undefined]).toContain(now?.status);
    return now?.status === "READY" ? now : undefined;
  });
  expect(state).toMatchObject({ requestedProvisionedConcurrentExecutions: WANTED, allocatedProvisionedConcurrentExecutions: WANTED });
  expect(await provisionedPods()).toHaveLength(WANTED);
});

test("first events find them initialised, and more at once run on demand", async () => {
  const first = await Promise.all(
    Array.from({ length: WANTED + 1 }, () => invoke(client, name, { ms: 3_000 }, { Qualifier: "live", LogType: "Tail" })),
  );
  for (const answer of first) expect(answer).toMatchObject({ status: 200, functionError: undefined, executedVersion: "1" });
  const provisioned = first.filter(({ payload }) => payload[0] === "provisioned-concurrency");
  expect(provisioned).toHaveLength(WANTED);
  expect(new Set(provisioned.map(({ payload }) => payload[1])).size).toBe(WANTED);
  expect(first.filter(({ payload }) => payload[0] === "on-demand")).toHaveLength(1);
});

test("one that ends is made again", async () => {
  const [pod] = await provisionedPods();
  if (!pod) throw new Error("no provisioned pod");
  await kubectl("delete", "pod", "-n", "default", pod.metadata.name, "--wait=false");
  await eventually("there are as many again, without the one that was deleted", async () => {
    const now = await provisionedPods();
    const state = await stateOf();
    const isWhole = now.length === WANTED && now.every(({ metadata }) => metadata.uid !== pod.metadata.uid);
    return isWhole && state?.status === "READY" && state.allocatedProvisionedConcurrentExecutions === WANTED ? true : undefined;
  });
});

test("they go when they are not asked for any more", async () => {
  await apply(alias());
  await eventually("no provisioned environment is left", async () => ((await provisionedPods()).length === 0 ? true : undefined));
  // The status follows the pods: a moment later it says so.
  await eventually("the alias's status has nothing of them", async () => ((await stateOf()) === undefined ? true : undefined));
  expect((await invoke(client, name, {}, { Qualifier: "live" })).payload[0]).toBe("on-demand");
});
