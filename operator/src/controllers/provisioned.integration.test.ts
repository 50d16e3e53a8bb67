/** Provisioned concurrency in a real cluster without nodes: the test says of the pods what a gateway would. */
import { describe, expect, test } from "vitest";
import type { Alias, Version } from "../api/types.generated.ts";
import { type KubeObject, Resources } from "../kube/index.ts";
import { INITIALIZED_CONDITION } from "../resources/labels.ts";
import type { PodObject } from "./pods/decide.ts";
import { eventually, functionObject, present, ready, useRealCluster } from "./testing/real-cluster.ts";

const cluster = useRealCluster();

type Pod = PodObject & { spec: { readinessGates: object[]; containers: { env: { name: string; value: string }[] }[] } };

const code = (answer: string) => ({ inline: `def handler(e, c): return "${answer}"\n` });
const version = (namespace: string, name: string, provisioned?: number): Version => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Version",
  metadata: { name, namespace },
  spec: { functionName: "hello", ...(provisioned === undefined ? {} : { provisionedConcurrentExecutions: provisioned }) },
});
const alias = (namespace: string, functionVersion: string, provisioned: number, weights: Record<string, string> = {}): Alias => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Alias",
  metadata: { name: "prod", namespace },
  spec: {
    functionName: "hello",
    name: "PROD",
    functionVersion,
    routingConfig: { additionalVersionWeights: weights },
    provisionedConcurrentExecutions: provisioned,
  },
});
const pods = async (namespace: string): Promise<Pod[]> => (await cluster().admin.list<Pod>(Resources.pod, { namespace })).items;
const annotation = (pod: KubeObject, name: string) => pod.metadata.annotations?.[`kappa.dev/${name}`];
const versionsOf = (all: KubeObject[]) => all.map((pod) => annotation(pod, "version")).toSorted();
const status = (resource: typeof Resources.version | typeof Resources.alias, namespace: string, name: string) => async () =>
  (await cluster().admin.get<Version | Alias>(resource, { namespace, name }))?.status?.provisionedConcurrency;

async function say(pod: Pod, condition: { status: "True" | "False"; reason: string; message?: string }): Promise<void> {
  const { namespace, name } = pod.metadata;
  const conditions = [{ type: INITIALIZED_CONDITION, message: "", ...condition }];
  // With the list's key a merge patch would take the other conditions away; there are none without a node.
  await cluster().admin.mergePatch(Resources.pod, { namespace, name }, { status: { conditions } }, { subresource: "status" });
}
/** Says of every pod that it can take events, as they come, until so many can. */
async function initialize(namespace: string, count: number): Promise<Pod[]> {
  const isInitialized = (pod: Pod) =>
    pod.status?.conditions?.some(({ type, status: is }) => type === INITIALIZED_CONDITION && is === "True");
  return eventually(
    async () => {
      const all = await pods(namespace);
      await Promise.all(
        all.filter((pod) => !isInitialized(pod)).map((pod) => say(pod, { status: "True", reason: "Initialized" }).catch(() => {})),
      );
      return pods(namespace);
    },
    (all) => all.length === count && all.every(isInitialized),
  );
}
async function withFunction(special: object = {}): Promise<string> {
  const namespace = await cluster().account();
  // The API server refuses pods of a ServiceAccount that is not there yet.
  await eventually(cluster().get(Resources.serviceAccount, namespace, "kappa-environment"), (account) => account !== undefined);
  await cluster().created(functionObject(namespace, "hello", code("1"), special));
  return namespace;
}
async function published(namespace: string, name: string, provisioned?: number): Promise<void> {
  await cluster().apply(Resources.version, version(namespace, name, provisioned));
  await eventually(cluster().get<Version>(Resources.version, namespace, name), (v) => ready(v)?.reason === "Active");
}
async function update(namespace: string, answer: string): Promise<void> {
  const { metadata } = await cluster().apply(Resources.function, functionObject(namespace, "hello", code(answer)));
  await eventually(
    cluster().get(Resources.function, namespace, "hello"),
    (fn) => ready(fn)?.status === "True" && ready(fn)?.observedGeneration === metadata.generation,
  );
}

describe("a version with provisioned concurrency", () => {
  test("has as many pods, made in steps, and is READY when all can take events", async () => {
    const namespace = await withFunction();
    await published(namespace, "one", 6);
    const first = await eventually(
      () => pods(namespace),
      (all) => all.length === 4,
    );
    expect(first[0]?.metadata).toMatchObject({
      annotations: { "kappa.dev/provisioned": "1", "kappa.dev/version": "1", "kappa.dev/function": "hello" },
      ownerReferences: [{ kind: "Function", name: "hello" }],
    });
    expect(first[0]?.spec.readinessGates).toEqual([{ conditionType: INITIALIZED_CONDITION }]);
    expect(await eventually(status(Resources.version, namespace, "one"), (s) => s !== undefined)).toMatchObject({
      requestedProvisionedConcurrentExecutions: 6,
      status: "IN_PROGRESS",
    });
    await initialize(namespace, 6);
    await eventually(
      status(Resources.version, namespace, "one"),
      (s) => s?.status === "READY" && s.allocatedProvisionedConcurrentExecutions === 6,
    );

    // One that ended is replaced; with less declared the rest goes; with nothing declared the status goes as well.
    const [lost] = await pods(namespace);
    await cluster().admin.delete(Resources.pod, { namespace, name: present(lost).metadata.name });
    await initialize(namespace, 6);
    await cluster().apply(Resources.version, version(namespace, "one", 2));
    await eventually(
      () => pods(namespace),
      (all) => all.length === 2,
    );
    await eventually(
      status(Resources.version, namespace, "one"),
      (s) => s?.status === "READY" && s.requestedProvisionedConcurrentExecutions === 2,
    );
    await cluster().apply(Resources.version, version(namespace, "one"));
    await eventually(
      () => pods(namespace),
      (all) => all.length === 0,
    );
    await eventually(status(Resources.version, namespace, "one"), (s) => s === undefined);
    expect(ready(await cluster().get<Version>(Resources.version, namespace, "one")())).toMatchObject({ status: "True" });
  });

  test("is FAILED with the function's error, and not tried again at once", async () => {
    const namespace = await withFunction();
    await published(namespace, "one", 1);
    const [pod] = await eventually(
      () => pods(namespace),
      (all) => all.length === 1,
    );
    await say(present(pod), { status: "False", reason: "InitializationFailed", message: "Runtime.ImportModuleError: no module index" });
    const failed = await eventually(status(Resources.version, namespace, "one"), (s) => s?.status === "FAILED");
    expect(failed?.statusReason).toBe("Runtime.ImportModuleError: no module index");
    await eventually(
      () => pods(namespace),
      (all) => all.length === 0,
    );
    await cluster().quiet(1500);
    expect(await pods(namespace)).toEqual([]);
    // Another leader knows of no failure and would try it.
    await cluster().apply(Resources.version, version(namespace, "one"));
    await eventually(status(Resources.version, namespace, "one"), (s) => s === undefined);
  });

  test("is FAILED beyond the function's reserved concurrency, until more is reserved", async () => {
    const namespace = await withFunction({ reservedConcurrentExecutions: 1 });
    await published(namespace, "one", 2);
    const failed = await eventually(status(Resources.version, namespace, "one"), (s) => s?.status === "FAILED");
    expect(failed?.statusReason).toContain("should not be greater than the reservedConcurrentExecution for function");
    expect(await pods(namespace)).toEqual([]);
    await cluster().apply(Resources.function, functionObject(namespace, "hello", code("1"), { reservedConcurrentExecutions: 2 }));
    await initialize(namespace, 2);
    await eventually(status(Resources.version, namespace, "one"), (s) => s?.status === "READY");
  });
});

describe("an alias with provisioned concurrency", () => {
  test("shares it by weight, and replaces the pods of a version that it leaves once the new ones can take events", async () => {
    const namespace = await withFunction();
    await published(namespace, "one");
    await update(namespace, "2");
    await published(namespace, "two");
    await cluster().apply(Resources.alias, alias(namespace, "1", 4, { "2": "0.25" }));
    expect(versionsOf(await initialize(namespace, 4))).toEqual(["1", "1", "1", "2"]);
    await eventually(status(Resources.alias, namespace, "prod"), (s) => s?.status === "READY");

    await cluster().apply(Resources.alias, alias(namespace, "2", 4));
    const both = await eventually(
      () => pods(namespace),
      (all) => all.length === 7,
    );
    expect(versionsOf(both)).toEqual(["1", "1", "1", "2", "2", "2", "2"]);
    expect(versionsOf(await initialize(namespace, 4))).toEqual(["2", "2", "2", "2"]);
    await eventually(status(Resources.alias, namespace, "prod"), (s) => s?.status === "READY");
  });
});

test("a restarted controller makes and deletes nothing that is as declared", async () => {
  const namespace = await withFunction();
  await published(namespace, "one", 2);
  await initialize(namespace, 2);
  await eventually(status(Resources.version, namespace, "one"), (s) => s?.status === "READY");
  await cluster().quiet(1000);
  const before = cluster().writes().length;
  await cluster().restart();
  await cluster().quiet(1500);
  // Events of what was done before may still be on their way.
  expect(
    cluster()
      .writes()
      .slice(before)
      .filter(({ resource }) => resource !== "events"),
  ).toEqual([]);
});
