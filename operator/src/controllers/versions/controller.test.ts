import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Function as LambdaFunction, Version, VersionSpec } from "../../api/types.generated.ts";
import { effectiveConfiguration } from "../../domain/effective.ts";
import type { KubeObject } from "../../kube/index.ts";
import type { NamespaceObject } from "../accounts/decide.ts";
import { CacheIndex, functionKey } from "../cache-index.ts";
import type { Controller } from "../context.ts";
import { conflict, FakeCache, fakeContext, forbidden, notFound, unreachable } from "../testing/fakes.ts";
import { versionController } from "./controller.ts";

beforeEach(() => vi.useFakeTimers({ now: Date.parse("2026-01-01T00:00:00Z") }));
const running: Controller[] = [];
afterEach(async () => {
  const stopped = Promise.all(running.splice(0).map((controller) => controller.stop()));
  await vi.runOnlyPendingTimersAsync();
  await stopped;
  vi.useRealTimers();
});

const account = (special: Partial<NamespaceObject["metadata"]> = {}): NamespaceObject => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: {
    name: "team",
    labels: { "kappa.dev/enabled": "true" },
    annotations: { "kappa.dev/account-id": "123456789012" },
    ...special,
  },
});
function fn(sha256 = "a".repeat(64), generation = 1, uid = "u-fn"): LambdaFunction {
  const bare: LambdaFunction = {
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name: "hello", namespace: "team", uid, generation, resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: {
      runtime: "python3.11",
      handler: "index.handler",
      code: { inline: "x" },
      memorySize: 128,
      timeout: 3,
      ephemeralStorage: { size: 512 },
      role: "default",
      architectures: ["x86_64"],
      loggingConfig: { logFormat: "Text" },
      tracingConfig: { mode: "PassThrough" },
      environment: { variables: {} },
      tags: {},
    },
  };
  const ready = {
    type: "Ready",
    status: "True" as const,
    reason: "Active",
    message: "",
    observedGeneration: generation,
    lastTransitionTime: "",
  };
  return { ...bare, status: { effective: effectiveConfiguration(bare, { sha256, size: 1 }), conditions: [ready] } };
}
const version = (name: string, spec: Partial<VersionSpec> = {}, special: Partial<Version["metadata"]> = {}): Version => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Version",
  metadata: {
    name,
    namespace: "team",
    uid: `u-${name}`,
    generation: 1,
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T00:00:00Z",
    ...special,
  },
  spec: { functionName: "hello", ...spec },
});

/** A controller over these versions, with an API server that keeps what is applied. */
function controllerOf(...objects: Version[]) {
  const fake = fakeContext();
  const versions = new FakeCache<Version>(...objects);
  const functions = new FakeCache<LambdaFunction>(fn());
  const namespaces = new FakeCache<NamespaceObject>(account());
  const versionsByFunction = new CacheIndex<Version>(versions, ({ metadata, spec }) => functionKey(metadata.namespace, spec.functionName));
  const functionsByName = new CacheIndex<LambdaFunction>(functions, ({ metadata }) => functionKey(metadata.namespace, metadata.name));
  const configMaps = new Map<string, KubeObject>();
  const stored = new Set([fn().status?.effective?.packageSha256 ?? ""]);
  const server = {
    /** What the API server has of the function, when that is not what the cache has. */
    fn: undefined as LambdaFunction | undefined,
    /** Whether the watch brings what is written at once; else the cache stays stale. */
    delivers: true,
    looked: 0,
  };
  let revision = 1;
  /** What the API server has, ahead of the cache while the watch does not deliver. */
  const current = new Map<string, Version>(objects.map((object) => [object.metadata.name, object]));
  fake.onGet = (kind, { name }) => (kind === "Function" ? (server.fn ?? functions.get("team", name)) : configMaps.get(name));
  fake.onApply = (object) => {
    const resourceVersion = String(++revision);
    if (object.kind === "ConfigMap") {
      const former = configMaps.get(object.metadata.name) as (KubeObject & { data?: object }) | undefined;
      const labels = { "app.kubernetes.io/managed-by": "kappa" };
      const kept = {
        ...former,
        ...object,
        metadata: { ...object.metadata, labels, resourceVersion },
        data: { ...former?.data, ...(object as { data?: object }).data },
      };
      configMaps.set(object.metadata.name, kept);
      return kept;
    }
    const { name } = object.metadata;
    const former = versions.get("team", name) === undefined ? undefined : (current.get(name) ?? versions.get("team", name));
    if (!former) throw notFound();
    const { spec, status } = object as Partial<Version>;
    const written: Version = {
      ...former,
      metadata: { ...former.metadata, ...object.metadata, resourceVersion, generation: (former.metadata.generation ?? 0) + (spec ? 1 : 0) },
      spec: { ...former.spec, ...spec },
      ...(status ? { status } : former.status ? { status: former.status } : {}),
    };
    current.set(name, written);
    if (server.delivers) versions.put(written);
    return written;
  };
  const controller = versionController({
    ...fake.context,
    versions,
    versionsByFunction,
    functions,
    functionsByName,
    namespaces,
    packages: {
      async has(digest) {
        server.looked++;
        return stored.has(digest);
      },
    },
    region: "us-east-1",
    runtimes: ["python3.11"],
    workers: 4,
  });
  running.push(controller);
  controller.start();
  const get = (name: string) => versions.get("team", name);
  const put = (object: Version) => {
    current.set(object.metadata.name, object);
    versions.put(object);
  };
  const numbers = () => Object.assign({}, ...[...configMaps.values()].map((object) => (object as { data?: object }).data));
  return { ...fake, versions, functions, namespaces, server, stored, get, put, numbers };
}
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const reasonOf = (object: Version | undefined) => object?.status?.conditions?.[0]?.reason;

describe("the version controller", () => {
  test("publishes with one write of the spec and one of the status, after the number was written down", async () => {
    const { writes, get, events, numbers } = controllerOf(version("a"));
    await pass(600_000);
    expect(writes.map(({ verb, kind }) => `${verb} ${kind}`)).toEqual([
      "apply ConfigMap",
      "patch ConfigMap",
      "apply Version",
      "apply Version",
    ]);
    expect(get("a")).toMatchObject({ spec: { version: 1, memorySize: 128 }, status: { state: "Active" } });
    expect(numbers()).toEqual({ hello: "1" });
    expect(events).toEqual(["Active"]);
  });

  test("writes what it froze and the owner of this very object, and nothing of the user's", async () => {
    const { writes } = controllerOf(version("a", { description: "mine", provisionedConcurrentExecutions: 2 }));
    await pass(100);
    const [intent] = writes.filter(({ kind }) => kind === "Version");
    expect(intent?.object?.metadata).toMatchObject({ name: "a", namespace: "team", uid: "u-a", ownerReferences: [{ uid: "u-fn" }] });
    for (const own of ["functionName", "description", "provisionedConcurrentExecutions"])
      expect(intent?.object).not.toHaveProperty(`spec.${own}`);
  });

  test("stable: no writes and no look into the store", async () => {
    const first = controllerOf(version("a"));
    await pass(100);
    const settled = first.get("a");
    if (!settled) throw new Error("it is there");
    const second = controllerOf(settled);
    await pass(600_000);
    expect(second.writes).toEqual([]);
    expect(second.server.looked).toBe(0);
  });

  test("decides from what it wrote while its cache is stale, and gives no second number", async () => {
    const { writes, server, numbers, put } = controllerOf();
    server.delivers = false;
    for (let round = 0; round < 5; round++) {
      put(version("a"));
      await pass(1000);
    }
    expect(writes.filter(({ kind }) => kind === "Version")).toHaveLength(2);
    expect(numbers()).toEqual({ hello: "1" });
  });

  test("publishes one of two equal ones that come at once", async () => {
    const { get, numbers } = controllerOf(version("a"), version("b"));
    await pass(1000);
    expect([reasonOf(get("a")), reasonOf(get("b"))].toSorted()).toEqual(["Active", "AlreadyPublished"]);
    expect(numbers()).toEqual({ hello: "1" });
  });

  test("does not publish what was in force before a change that its cache has not seen", async () => {
    const { get, put, server, functions } = controllerOf();
    server.fn = fn("b".repeat(64), 2);
    put(version("a"));
    await pass(5000);
    expect(get("a")?.spec).not.toHaveProperty("version");
    functions.put(server.fn);
    await pass(5000);
    expect(get("a")?.spec.code?.package?.sha256).toBe("b".repeat(64));
  });

  test("leaves a version alone that is being deleted, and one of a namespace that is going away", async () => {
    const { writes, put, namespaces } = controllerOf(version("a", {}, { deletionTimestamp: "2026-01-01T00:00:00Z" }));
    namespaces.put(account({ deletionTimestamp: "2026-01-01T00:00:00Z" }));
    put(version("b"));
    await pass(10_000);
    expect(writes).toEqual([]);
  });

  test("publishes when its namespace becomes an account", async () => {
    const { get, put, namespaces } = controllerOf();
    namespaces.put(account({ labels: {} }));
    put(version("a"));
    await pass(100);
    expect(reasonOf(get("a"))).toBe("NamespaceNotEnabled");
    namespaces.put(account());
    await pass(100);
    expect(reasonOf(get("a"))).toBe("Active");
  });

  test("tells a version that its function is gone only when Kubernetes left it behind, and takes it back", async () => {
    const { get, put, functions, versions, writes } = controllerOf(version("a"));
    await pass(100);
    functions.remove("team", "hello");
    const before = writes.length;
    await pass(14_000);
    expect(writes).toHaveLength(before);
    await pass(2000);
    expect(reasonOf(get("a"))).toBe("FunctionNotFound");
    // Deleted without what belongs to it: the reference is taken away.
    const orphan = versions.get("team", "a");
    if (!orphan) throw new Error("it is there");
    put({ ...orphan, metadata: { ...orphan.metadata, ownerReferences: [] } });
    functions.put(fn(undefined, 1, "u-new"));
    await pass(100);
    expect(get("a")).toMatchObject({ metadata: { ownerReferences: [{ uid: "u-new" }] }, spec: { version: 1 } });
    expect(reasonOf(get("a"))).toBe("Active");
  });

  test("does not give the versions of a deleted function to the one that has its name now", async () => {
    const { get, functions } = controllerOf(version("a"));
    await pass(100);
    functions.put(fn(undefined, 1, "u-new"));
    await pass(100);
    expect(get("a")?.metadata.ownerReferences).toMatchObject([{ uid: "u-fn" }]);
    expect(get("a")?.status).not.toHaveProperty("effective");
  });

  test("looks again for a package that is missing, and runs the version when it is there", async () => {
    const spec = { ...frozenSpec(), version: 3 };
    const { get, stored, numbers } = controllerOf(version("a", { ...spec, code: { package: { sha256: "c".repeat(64), size: 1 } } }));
    await pass(100);
    expect(get("a")?.status).toMatchObject({ state: "Failed" });
    expect(numbers()).toEqual({ hello: "3" });
    stored.add("c".repeat(64));
    await pass(61_000);
    expect(get("a")?.status).toMatchObject({ state: "Active" });
  });

  test("gives a number to the second of two objects when the first is deleted", async () => {
    const { get, put, versions } = controllerOf(version("a"));
    await pass(100);
    put(version("copy", get("a")?.spec, { creationTimestamp: "2026-01-02T00:00:00Z" }));
    await pass(100);
    expect(reasonOf(get("copy"))).toBe("NameConflict");
    versions.remove("team", "a");
    await pass(100);
    expect(reasonOf(get("copy"))).toBe("Active");
  });
});

/** What a version freezes of the function. */
function frozenSpec(): Partial<VersionSpec> {
  const { runtime, handler, memorySize, timeout, ephemeralStorage, role, architectures, loggingConfig, tracingConfig } = fn().spec;
  return {
    ...(runtime === undefined ? {} : { runtime }),
    ...(handler === undefined ? {} : { handler }),
    ...{ memorySize, timeout, ephemeralStorage, role, architectures, loggingConfig, tracingConfig },
  };
}

describe("a write that fails", () => {
  test.each([
    ["the API server is away", unreachable],
    ["somebody else wrote", conflict],
    ["a right is missing, until it is given", forbidden],
  ])("because %s, whichever of the four it is, costs no second number that is used", async (_, failure) => {
    for (let failing = 0; failing < 4; failing++) {
      const { failWrite, get, put } = controllerOf();
      failWrite((index) => (index === failing ? failure() : undefined));
      put(version("a"));
      await pass(60_000);
      expect(get("a"), `write ${failing}`).toMatchObject({ spec: { version: 1 }, status: { state: "Active" } });
    }
  });

  test("of the spec again and again keeps the number that was reserved", async () => {
    const { failWrite, put, numbers, writes } = controllerOf();
    failWrite((index) => (index >= 2 && writes[index]?.kind === "Version" ? unreachable() : undefined));
    put(version("a"));
    await pass(60_000);
    expect(writes.length).toBeGreaterThan(5);
    expect(numbers()).toEqual({ hello: "1" });
  });

  test("of the number says so on the version", async () => {
    const { failWrite, put, get, writes } = controllerOf();
    failWrite((index) => (writes[index]?.kind === "ConfigMap" ? forbidden() : undefined));
    put(version("a"));
    await pass(1000);
    expect(reasonOf(get("a"))).toBe("NumberUnavailable");
  });

  test("because the version is gone is not tried again", async () => {
    const { put, versions, server, writes } = controllerOf();
    server.delivers = false;
    put(version("a"));
    versions.remove("team", "a");
    await pass(60_000);
    expect(writes.filter(({ kind }) => kind === "Version")).toHaveLength(1);
  });
});
