import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Alias, Function as LambdaFunction, Version } from "../../api/types.generated.ts";
import { KubeError } from "../../kube/index.ts";
import type { NamespaceObject } from "../accounts/decide.ts";
import { CacheIndex, functionKey } from "../cache-index.ts";
import type { Controller } from "../context.ts";
import type { PodObject } from "../pods/decide.ts";
import { FakeCache, fakeContext, notFound, unreachable } from "../testing/fakes.ts";
import { provisionedController } from "./controller.ts";

beforeEach(() => vi.useFakeTimers({ now: Date.parse("2026-01-01T00:00:00Z") }));
const running: Controller[] = [];
afterEach(async () => {
  const stopped = Promise.all(running.splice(0).map((controller) => controller.stop()));
  await vi.runOnlyPendingTimersAsync();
  await stopped;
  vi.useRealTimers();
});

const namespace: NamespaceObject = {
  apiVersion: "v1",
  kind: "Namespace",
  metadata: {
    name: "team",
    labels: { "kappa.dev/enabled": "true" },
    annotations: { "kappa.dev/account-id": "123456789012" },
  },
};
const fn = (name: string, reserved?: number, second = 0): LambdaFunction =>
  ({
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name, namespace: "team", uid: `u-${name}`, creationTimestamp: `2026-01-01T00:00:0${second}Z` },
    spec: reserved === undefined ? {} : { reservedConcurrentExecutions: reserved },
  }) as unknown as LambdaFunction;
const version = (number: number, provisioned?: number, functionName = "hello"): Version =>
  ({
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Version",
    metadata: {
      name: `${functionName}-${number}`,
      namespace: "team",
      uid: `u-${functionName}-${number}`,
      resourceVersion: "1",
      creationTimestamp: `2026-01-01T00:00:0${number}Z`,
    },
    spec: { functionName, version: number, ...(provisioned === undefined ? {} : { provisionedConcurrentExecutions: provisioned }) },
    status: {
      effective: {
        runtime: "python3.11",
        memorySize: 128,
        ephemeralStorageMb: 512,
        architectures: ["x86_64"],
        environment: {},
        packageSha256: `p${number}`,
      },
    },
  }) as unknown as Version;

interface World {
  versions?: Version[];
  aliases?: Alias[];
  functions?: LambdaFunction[];
  pods?: PodObject[];
  /** Concurrent executions of the account. */
  limit?: number;
  /** Whether a gateway initialises pods as soon as they are made. */
  initializes?: boolean;
}

let revision = 1;
/** The same version with another declaration, as the watch brings it after a user's change. */
const redeclared = (former: Version | undefined, provisioned?: number): Version => {
  if (!former) throw new Error("it is there");
  const { provisionedConcurrentExecutions: _, ...spec } = former.spec;
  const metadata = { ...former.metadata, resourceVersion: String(++revision) };
  return { ...former, metadata, spec: { ...spec, ...(provisioned === undefined ? {} : { provisionedConcurrentExecutions: provisioned }) } };
};
let podCount = 0;

function controllerOf({ initializes = true, limit = 1000, ...world }: World) {
  const fake = fakeContext();
  const versions = new FakeCache<Version>(...(world.versions ?? []));
  const aliases = new FakeCache<Alias>(...(world.aliases ?? []));
  const functions = new FakeCache<LambdaFunction>(...(world.functions ?? [fn("hello")]));
  const pods = new FakeCache<PodObject>(...(world.pods ?? []));
  /** Whether the watch brings pods at once. */
  const watch = { delivers: true };
  fake.onApply = (object) => {
    if (object.kind === "Pod") {
      const made: PodObject = { ...object, metadata: { ...object.metadata, uid: `pod-${++podCount}` } };
      if (initializes) made.status = { phase: "Running", conditions: [{ type: "kappa.dev/Initialized", status: "True" }] };
      if (watch.delivers) pods.put(made);
      return made;
    }
    const cache: FakeCache<Version> | FakeCache<Alias> = object.kind === "Version" ? versions : aliases;
    const former = cache.get("team", object.metadata.name);
    if (!former) throw notFound();
    const { provisionedConcurrency: _, ...others } = former.status ?? {};
    const metadata = { ...former.metadata, resourceVersion: String(++revision) };
    const written = { ...former, metadata, status: { ...others, ...(object as Version).status } } as Version & Alias;
    cache.put(written);
    return written;
  };
  const remove = fake.context.client.delete;
  fake.context.client.delete = async (resource, ref) => {
    const answer = await remove(resource, ref);
    pods.remove("team", ref.name);
    return answer;
  };
  const ofFunction = ({ metadata, spec }: Version | Alias) => functionKey(metadata.namespace, spec.functionName);
  const namespaces = new FakeCache<NamespaceObject>(namespace);
  const controller = provisionedController({
    ...fake.context,
    versions,
    versionsByFunction: new CacheIndex<Version>(versions, ofFunction),
    aliases,
    aliasesByFunction: new CacheIndex<Alias>(aliases, ofFunction),
    functions,
    functionsByName: new CacheIndex<LambdaFunction>(functions, ({ metadata }) => functionKey(metadata.namespace, metadata.name)),
    namespaces,
    pods,
    provisionedPods: new CacheIndex<PodObject>(pods, ({ metadata }) => metadata.ownerReferences?.[0]?.uid),
    images: { "python3.11": "image:1" },
    environment: {
      overcommit: { memory: 0.5, cpu: 0.1 },
      agentAllowance: { memoryMb: 64, cpuMillis: 250 },
      gateway: { host: "gateways.", port: 8081 },
      imagePullPolicy: "Never",
    },
    accountConcurrency: limit,
    workers: 2,
  });
  running.push(controller);
  controller.start();
  const statusOf = (name: string) => (versions.get("team", name) ?? aliases.get("team", name))?.status?.provisionedConcurrency;
  const created = () => fake.writes.filter(({ verb }) => verb === "create");
  const fail = (pod: PodObject | undefined, message: string) => {
    if (!pod) throw new Error("there is a pod");
    pods.put({ ...pod, status: { phase: "Running", conditions: [{ type: "kappa.dev/Initialized", status: "False", message }] } });
  };
  return { ...fake, controller, namespaces, versions, aliases, functions, pods, watch, statusOf, created, fail };
}
const ACCOUNT =
  "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].";
const RESERVED = "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function";
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("the controller of provisioned concurrency", () => {
  test("makes the pods of a version and says when they are READY", async () => {
    const { pods, statusOf, created } = controllerOf({ versions: [version(7, 10)] });
    await pass(1000);
    expect(pods.list()).toHaveLength(10);
    expect(created()).toHaveLength(10);
    expect(statusOf("hello-7")).toMatchObject({ status: "READY", allocatedProvisionedConcurrentExecutions: 10 });
  });

  test("starts no more than four at once", async () => {
    const { pods, statusOf } = controllerOf({ versions: [version(7, 10)], initializes: false });
    await pass(600_000);
    expect(pods.list()).toHaveLength(4);
    expect(statusOf("hello-7")).toMatchObject({ status: "IN_PROGRESS", allocatedProvisionedConcurrentExecutions: 0 });
  });

  test("makes no pod twice while its cache is stale", async () => {
    const { created, watch, versions } = controllerOf({});
    watch.delivers = false;
    for (let round = 0; round < 5; round++) {
      versions.put(version(7, 2));
      await pass(500);
    }
    expect(created()).toHaveLength(2);
  });

  test("stable: no writes", async () => {
    const first = controllerOf({ versions: [version(7, 3)] });
    await pass(1000);
    const second = controllerOf({ versions: first.versions.list(), pods: first.pods.list() });
    await pass(600_000);
    expect(second.writes).toEqual([]);
  });

  test("removes what is not declared any more, and the status of it", async () => {
    const { pods, versions, statusOf } = controllerOf({ versions: [version(7, 3)] });
    await pass(1000);
    versions.put(redeclared(versions.get("team", "hello-7")));
    await pass(1000);
    expect(pods.list()).toEqual([]);
    expect(statusOf("hello-7")).toBeUndefined();
  });

  test("removes the pods of a version that was deleted", async () => {
    const { pods, versions } = controllerOf({ versions: [version(7, 3)] });
    await pass(1000);
    versions.remove("team", "hello-7");
    await pass(1000);
    expect(pods.list()).toEqual([]);
  });

  test("makes pods anew that ended", async () => {
    const { pods, created } = controllerOf({ versions: [version(7, 2)] });
    await pass(1000);
    const [pod] = pods.list();
    if (!pod) throw new Error("there is one");
    pods.put({ ...pod, status: { ...pod.status, phase: "Failed" } });
    await pass(1000);
    expect(created()).toHaveLength(3);
  });

  test("tells a function's own failure, and tries again later and later, one pod at a time", async () => {
    const { pods, statusOf, created, fail } = controllerOf({ versions: [version(7, 3)], initializes: false });
    await pass(100);
    for (const pod of pods.list()) fail(pod, "Runtime.ImportModuleError");
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "FAILED", statusReason: "Runtime.ImportModuleError" });
    expect(pods.list()).toEqual([]);
    const before = created().length;
    await pass(38_000);
    expect(created()).toHaveLength(before);
    await pass(3000);
    expect(created()).toHaveLength(before + 1);
    const [pod] = pods.list();
    if (!pod) throw new Error("there is one");
    pods.put({ ...pod, status: { phase: "Running", conditions: [{ type: "kappa.dev/Initialized", status: "True" }] } });
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "FAILED", allocatedProvisionedConcurrentExecutions: 1 });
  });

  test("is not told the failure of a version by that of another one", async () => {
    const { pods, fail, statusOf } = controllerOf({ versions: [version(7, 1), version(8, 1)], initializes: false });
    await pass(100);
    fail(
      pods.list().find(({ metadata }) => metadata.annotations?.["kappa.dev/provisioned"] === "7"),
      "broken",
    );
    await pass(1000);
    expect([statusOf("hello-7")?.status, statusOf("hello-8")?.status]).toEqual(["FAILED", "IN_PROGRESS"]);
  });

  test("keeps what there is when more is asked for than the function has reserved", async () => {
    const { versions, pods, statusOf } = controllerOf({ versions: [version(7, 2)], functions: [fn("hello", 3)] });
    await pass(1000);
    versions.put(redeclared(versions.get("team", "hello-7"), 4));
    await pass(1000);
    expect(pods.list()).toHaveLength(2);
    expect(statusOf("hello-7")).toMatchObject({
      status: "FAILED",
      requestedProvisionedConcurrentExecutions: 4,
      allocatedProvisionedConcurrentExecutions: 2,
    });
  });

  test("keeps it when another controller takes over", async () => {
    const first = controllerOf({ versions: [version(7, 2)], functions: [fn("hello", 3)] });
    await pass(1000);
    first.versions.put(redeclared(first.versions.get("team", "hello-7"), 4));
    await pass(1000);
    const stopped = first.controller.stop();
    await pass(1000);
    await stopped;
    const then = controllerOf({ versions: first.versions.list(), functions: [fn("hello", 3)], pods: first.pods.list() });
    await pass(1000);
    expect(then.pods.list().map(({ metadata }) => metadata.uid)).toEqual(first.pods.list().map(({ metadata }) => metadata.uid));
    expect(then.statusOf("hello-7")).toMatchObject({ status: "FAILED", allocatedProvisionedConcurrentExecutions: 2 });
  });

  test("says so when the namespace is Kappa's no more, and provides it again when it is", async () => {
    const { namespaces, statusOf } = controllerOf({ versions: [version(7, 1)] });
    await pass(1000);
    namespaces.put({ ...namespace, metadata: { ...namespace.metadata, labels: {}, resourceVersion: "2" } });
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "FAILED", statusReason: expect.stringContaining("is not enabled for Kappa") });
    namespaces.put(namespace);
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "READY" });
  });

  test("counts what all functions of the account have, and grants when another one gives it back", async () => {
    const { statusOf, versions } = controllerOf({
      functions: [fn("hello"), fn("other", 890)],
      versions: [version(7, 11)],
    });
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "FAILED", statusReason: ACCOUNT });
    versions.put(redeclared(versions.get("team", "hello-7"), 10));
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "READY" });
  });

  test("looks again at what was refused for the account's sake", async () => {
    const { statusOf, versions } = controllerOf({
      limit: 110,
      functions: [fn("other"), fn("hello")],
      versions: [version(1, 8, "other"), version(7, 4)],
    });
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "FAILED", statusReason: ACCOUNT });
    versions.put(redeclared(versions.get("team", "other-1"), 6));
    await pass(31_000);
    expect(statusOf("hello-7")).toMatchObject({ status: "READY" });
  });

  test("keeps nothing of what was withdrawn by the user when more is asked for than there is", async () => {
    const { statusOf, versions, pods } = controllerOf({ limit: 110, versions: [version(7, 8)] });
    await pass(1000);
    versions.put(redeclared(versions.get("team", "hello-7")));
    await pass(1000);
    versions.put(redeclared(versions.get("team", "hello-7"), 11));
    await pass(1000);
    expect(pods.list()).toEqual([]);
    expect(statusOf("hello-7")).toMatchObject({ status: "FAILED", statusReason: ACCOUNT });
  });

  test("replaces the pods of a former image, the former ones last", async () => {
    const former = controllerOf({ versions: [version(7, 2)] });
    await pass(1000);
    const stale = former.pods.list().map(
      (pod): PodObject => ({
        ...pod,
        metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, "kappa.dev/template": "former" } },
      }),
    );
    const { writes, pods } = controllerOf({ versions: former.versions.list(), pods: stale });
    await pass(1000);
    const verbs = writes.filter(({ kind }) => kind === "Pod").map(({ verb }) => verb);
    expect(verbs).toEqual(["create", "create", "delete", "delete"]);
    expect(pods.list().some(({ metadata }) => metadata.annotations?.["kappa.dev/template"] === "former")).toBe(false);
  });
});

describe("provisioned concurrency beside reservations", () => {
  test("of which the account cannot keep one has the place of that one", async () => {
    const { statusOf } = controllerOf({ functions: [fn("first", 800, 1), fn("second", 500, 2), fn("hello")], versions: [version(7, 5)] });
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "READY" });
  });

  test("of its function, which the account cannot keep, is limited by it and by what the account's functions share", async () => {
    const { statusOf, versions } = controllerOf({ functions: [fn("first", 895, 1), fn("hello", 10, 2)], versions: [version(7, 10)] });
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "FAILED", statusReason: ACCOUNT });
    versions.put(redeclared(versions.get("team", "hello-7"), 11));
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "FAILED", statusReason: RESERVED });
    versions.put(redeclared(versions.get("team", "hello-7"), 5));
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "READY" });
  });

  test("is granted as soon as the account can keep the reservation, and taken back as soon as it cannot", async () => {
    const { statusOf, functions, pods } = controllerOf({
      functions: [fn("first", 895, 1), fn("hello", 10, 2)],
      versions: [version(7, 10)],
    });
    await pass(1000);
    functions.put(fn("first", 890, 1));
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "READY" });
    functions.put(fn("first", 891, 1));
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "FAILED", statusReason: ACCOUNT, allocatedProvisionedConcurrentExecutions: 0 });
    expect(pods.list()).toEqual([]);
    functions.remove("team", "first");
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "READY" });
  });

  test("goes when a reservation made later takes its place, of the function made last and no more than has to", async () => {
    const { statusOf, functions, versions, pods } = controllerOf({
      limit: 110,
      functions: [fn("old", undefined, 1), fn("young", undefined, 2)],
      versions: [version(1, 4, "young"), version(2, 4, "old")],
    });
    await pass(1000);
    expect([statusOf("young-1")?.status, statusOf("old-2")?.status]).toEqual(["READY", "READY"]);
    functions.put(fn("new", 2, 3));
    await pass(1000);
    expect([statusOf("young-1")?.status, statusOf("old-2")?.status]).toEqual(["READY", "READY"]);
    functions.put(fn("new", 3, 3));
    await pass(1000);
    expect(statusOf("young-1")).toMatchObject({ status: "FAILED", statusReason: ACCOUNT, allocatedProvisionedConcurrentExecutions: 0 });
    expect(statusOf("old-2")).toMatchObject({ status: "READY" });
    expect(pods.list().map(({ metadata }) => metadata.ownerReferences?.[0]?.name)).toEqual(Array(4).fill("old"));
    versions.put(redeclared(versions.get("team", "young-1"), 3));
    await pass(1000);
    expect(statusOf("young-1")).toMatchObject({ status: "READY" });
  });

  test("is taken back by a controller that finds both, and stays with whom it fits", async () => {
    const world = { limit: 110, functions: [fn("old", undefined, 1), fn("young", undefined, 2)] };
    const first = controllerOf({ ...world, versions: [version(1, 4, "young"), version(2, 4, "old")] });
    await pass(1000);
    const stopped = first.controller.stop();
    await pass(1000);
    await stopped;
    // The younger reservation is listed first, and is not kept.
    const functions = [fn("refused", 9, 4), fn("new", 3, 3), ...world.functions];
    const then = controllerOf({ limit: 110, functions, versions: first.versions.list(), pods: first.pods.list() });
    await pass(1000);
    expect([then.statusOf("young-1")?.status, then.statusOf("old-2")?.status]).toEqual(["FAILED", "READY"]);
    expect(then.created()).toEqual([]);
  });
});

describe("a write that fails", () => {
  test.each([0, 1, 2, 3])("because the API server is away, whichever it is (%i), is tried again", async (failing) => {
    const { failWrite, versions, pods, statusOf } = controllerOf({});
    failWrite((index) => (index === failing ? unreachable() : undefined));
    versions.put(version(7, 2));
    await pass(60_000);
    expect(pods.list()).toHaveLength(2);
    expect(statusOf("hello-7")).toMatchObject({ status: "READY" });
  });

  test("because of a quota is told, and tried again later", async () => {
    const { failWrite, versions, statusOf, writes } = controllerOf({});
    const quota = new KubeError("exceeded quota: pods", { status: 403, reason: "Forbidden" });
    let exceeded = true;
    failWrite((index) => (exceeded && writes[index]?.kind === "Pod" ? quota : undefined));
    versions.put(version(7, 2));
    await pass(1000);
    expect(statusOf("hello-7")).toMatchObject({ status: "FAILED", statusReason: "exceeded quota: pods" });
    exceeded = false;
    await pass(60_000);
    expect(statusOf("hello-7")).toMatchObject({ status: "READY" });
  });
});
