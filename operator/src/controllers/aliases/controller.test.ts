import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Alias, Function as LambdaFunction, Version } from "../../api/types.generated.ts";
import type { NamespaceObject } from "../accounts/decide.ts";
import { CacheIndex, functionKey } from "../cache-index.ts";
import type { Controller } from "../context.ts";
import { conflict, FakeCache, fakeContext, forbidden, notFound, unreachable } from "../testing/fakes.ts";
import { aliasController } from "./controller.ts";

beforeEach(() => vi.useFakeTimers({ now: Date.parse("2026-01-01T00:00:00Z") }));
const running: Controller[] = [];
afterEach(async () => {
  const stopped = Promise.all(running.splice(0).map((controller) => controller.stop()));
  await vi.runOnlyPendingTimersAsync();
  await stopped;
  vi.useRealTimers();
});

const account = (labels = { "kappa.dev/enabled": "true" } as Record<string, string>): NamespaceObject => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: "team", labels, annotations: { "kappa.dev/account-id": "123456789012" } },
});
const fn = (uid = "u-fn"): LambdaFunction =>
  ({
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name: "hello", namespace: "team", uid },
    spec: {},
    status: { effective: {} },
  }) as unknown as LambdaFunction;
const version = (number: number): Version =>
  ({
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Version",
    metadata: { name: `v${number}`, namespace: "team", uid: `u-v${number}` },
    spec: { functionName: "hello", version: number },
    status: { effective: {} },
  }) as unknown as Version;
const alias = (name: string, functionVersion = "1", special: Partial<Alias["metadata"]> = {}): Alias => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Alias",
  metadata: {
    name,
    namespace: "team",
    uid: `u-${name}`,
    generation: 1,
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T00:00:00Z",
    ...special,
  },
  spec: { functionName: "hello", name: "PROD", functionVersion },
});

function controllerOf(...objects: Alias[]) {
  const fake = fakeContext();
  const aliases = new FakeCache<Alias>(...objects);
  const versions = new FakeCache<Version>(version(1));
  const functions = new FakeCache<LambdaFunction>(fn());
  const namespaces = new FakeCache<NamespaceObject>(account());
  const watch = { delivers: true };
  const current = new Map(objects.map((object) => [object.metadata.name, object]));
  let revision = 1;
  fake.onApply = (object) => {
    const former = current.get(object.metadata.name);
    if (!former) throw notFound();
    const metadata = { ...former.metadata, ...object.metadata, resourceVersion: String(++revision) };
    const { status = former.status } = object as Partial<Alias>;
    const written: Alias = { ...former, metadata, ...(status === undefined ? {} : { status }) };
    current.set(object.metadata.name, written);
    if (watch.delivers) aliases.put(written);
    return written;
  };
  const ofFunction = ({ metadata, spec }: Version | Alias) => functionKey(metadata.namespace, spec.functionName);
  const controller = aliasController({
    ...fake.context,
    aliases,
    aliasesByFunction: new CacheIndex<Alias>(aliases, ofFunction),
    versions,
    versionsByFunction: new CacheIndex<Version>(versions, ofFunction),
    functions,
    functionsByName: new CacheIndex<LambdaFunction>(functions, ({ metadata }) => functionKey(metadata.namespace, metadata.name)),
    namespaces,
    region: "us-east-1",
    workers: 2,
  });
  running.push(controller);
  controller.start();
  const put = (object: Alias) => {
    current.set(object.metadata.name, object);
    aliases.put(object);
  };
  const get = (name: string) => aliases.get("team", name);
  return { ...fake, aliases, versions, functions, namespaces, watch, put, get };
}
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const reasonOf = (object: Alias | undefined) => object?.status?.conditions?.[0]?.reason;

describe("the alias controller", () => {
  test("writes owner and status of this very object, and nothing more", async () => {
    const { writes, get, events } = controllerOf(alias("a"));
    await pass(600_000);
    expect(writes).toHaveLength(2);
    for (const { object } of writes) expect(object?.metadata).toMatchObject({ name: "a", namespace: "team", uid: "u-a" });
    expect(writes.every(({ object }) => !Object.hasOwn(object ?? {}, "spec"))).toBe(true);
    expect(get("a")).toMatchObject({ metadata: { ownerReferences: [{ uid: "u-fn" }] }, status: { effective: { functionVersion: "1" } } });
    expect(events).toEqual(["Resolved"]);
  });

  test("stable: no writes", async () => {
    const first = controllerOf(alias("a"));
    await pass(100);
    const settled = first.get("a");
    if (!settled) throw new Error("it is there");
    const second = controllerOf(settled);
    await pass(600_000);
    expect(second.writes).toEqual([]);
  });

  test("decides from what it wrote while its cache is stale", async () => {
    const { writes, watch, put } = controllerOf();
    watch.delivers = false;
    for (let round = 0; round < 5; round++) {
      put(alias("a"));
      await pass(1000);
    }
    expect(writes).toHaveLength(2);
  });

  test("follows its version as it comes and goes", async () => {
    const { get, versions } = controllerOf(alias("a", "2"));
    await pass(100);
    expect(reasonOf(get("a"))).toBe("VersionNotFound");
    versions.put(version(2));
    await pass(100);
    expect(reasonOf(get("a"))).toBe("Resolved");
    versions.remove("team", "v2");
    await pass(100);
    expect(reasonOf(get("a"))).toBe("VersionNotFound");
    expect(get("a")?.status).not.toHaveProperty("effective");
  });

  test("gives a name to the younger one when the older is deleted", async () => {
    const { get, aliases } = controllerOf(alias("a"), alias("b", "1", { creationTimestamp: "2026-01-02T00:00:00Z" }));
    await pass(100);
    expect([reasonOf(get("a")), reasonOf(get("b"))]).toEqual(["Resolved", "NameConflict"]);
    aliases.remove("team", "a");
    await pass(100);
    expect(reasonOf(get("b"))).toBe("Resolved");
  });

  test("tells an alias that its function is gone only when Kubernetes left it behind", async () => {
    const { get, functions, writes } = controllerOf(alias("a"));
    await pass(100);
    functions.remove("team", "hello");
    const before = writes.length;
    await pass(14_000);
    expect(writes).toHaveLength(before);
    await pass(2000);
    expect(reasonOf(get("a"))).toBe("FunctionNotFound");
  });

  test("does nothing for an alias that is being deleted", async () => {
    const { writes } = controllerOf(alias("a", "1", { deletionTimestamp: "2026-01-01T00:00:00Z" }));
    await pass(10_000);
    expect(writes).toEqual([]);
  });

  test("follows its namespace as it becomes an account", async () => {
    const { get, namespaces, put } = controllerOf();
    namespaces.put(account({}));
    put(alias("a"));
    await pass(100);
    expect(reasonOf(get("a"))).toBe("NamespaceNotEnabled");
    namespaces.put(account());
    await pass(100);
    expect(reasonOf(get("a"))).toBe("Resolved");
  });
});

describe("a write that fails", () => {
  test.each([
    ["the API server is away", unreachable],
    ["somebody else wrote", conflict],
    ["a right is missing, until it is given", forbidden],
  ])("because %s is tried again until it succeeds", async (_, failure) => {
    for (const failing of [0, 1]) {
      const { failWrite, get, put } = controllerOf();
      failWrite((index) => (index === failing ? failure() : undefined));
      put(alias("a"));
      await pass(60_000);
      expect(reasonOf(get("a")), `write ${failing}`).toBe("Resolved");
    }
  });
});
