import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { KubeObject } from "../../kube/index.ts";
import type { Controller } from "../context.ts";
import { FakeCache, fakeContext, notFound, unreachable } from "../testing/fakes.ts";
import { accountController } from "./controller.ts";
import type { NamespaceObject } from "./decide.ts";

const running: Controller[] = [];
beforeEach(() => vi.useFakeTimers());
afterEach(async () => {
  await Promise.all(running.splice(0).map((controller) => controller.stop()));
  vi.useRealTimers();
});

const namespace = (name: string, special: Partial<NamespaceObject["metadata"]> = {}): NamespaceObject => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, uid: `u-${name}`, creationTimestamp: "2026-01-01T00:00:00Z", labels: { "kappa.dev/enabled": "true" }, ...special },
});

function controllerOf(...objects: NamespaceObject[]) {
  const fake = fakeContext();
  const namespaces = new FakeCache<NamespaceObject>(...objects);
  const owned = {
    serviceAccounts: new FakeCache<KubeObject>(),
    roleBindings: new FakeCache<KubeObject>(),
    networkPolicies: new FakeCache<KubeObject>(),
  };
  const caches: Record<string, FakeCache<KubeObject>> = {
    ServiceAccount: owned.serviceAccounts,
    RoleBinding: owned.roleBindings,
    NetworkPolicy: owned.networkPolicies,
  };
  const pods = new FakeCache<KubeObject>();
  let exceptions: readonly string[] = ["10.0.0.0/8"];
  let changed = () => {};
  /** Whether the watch brings what is written at once; else the caches stay stale. */
  const watch = { delivers: true };
  fake.onApply = (object) => {
    if (!watch.delivers) return object;
    if (object.kind === "Namespace") {
      const cached = namespaces.get(undefined, object.metadata.name);
      if (cached) namespaces.put({ ...cached, metadata: { ...cached.metadata, annotations: object.metadata.annotations ?? {} } });
    } else caches[object.kind]?.put(object);
    return object;
  };
  const controller = accountController({
    ...fake.context,
    namespaces,
    owned,
    pods,
    internetExceptions: {
      get: () => exceptions,
      subscribe(callback) {
        changed = callback;
        return () => {};
      },
    },
    network: {
      systemNamespace: "kappa-system",
      gatewayAgentPort: 8081,
      gatewayApiPort: 8080,
      dns: { namespace: "kube-system", podLabels: { "k8s-app": "kube-dns" } },
    },
    gateway: { serviceAccount: "kappa-gateway", namespace: "kappa-system" },
    workers: 2,
  });
  running.push(controller);
  controller.start();
  const setExceptions = (now: readonly string[]) => {
    exceptions = now;
    changed();
  };
  const idOf = (name: string) => namespaces.get(undefined, name)?.metadata.annotations?.["kappa.dev/account-id"];
  return { ...fake, namespaces, pods, idOf, setExceptions, watch };
}
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("the account controller", () => {
  test("makes everything once, in order, and then nothing more", async () => {
    const { writes } = controllerOf(namespace("a"));
    await pass(600_000);
    expect(writes.map(({ kind }) => kind)).toEqual([
      "NetworkPolicy",
      "NetworkPolicy",
      "NetworkPolicy",
      "ServiceAccount",
      "RoleBinding",
      "Namespace",
    ]);
  });

  test("does not give the id again while its cache is stale", async () => {
    const { watch, namespaces, writes, events } = controllerOf();
    watch.delivers = false;
    const stale = namespace("a");
    namespaces.put(stale);
    await pass(100);
    const before = writes.filter(({ kind }) => kind === "Namespace").length;
    namespaces.put({ ...stale, status: { phase: "Active" } });
    await pass(10_000);
    expect([before, writes.filter(({ kind }) => kind === "Namespace").length, events]).toEqual([1, 1, ["AccountEnabled"]]);
  });

  test("gives the id to this very namespace, so that one that was deleted meanwhile is not made anew", async () => {
    const { writes } = controllerOf(namespace("a"));
    await pass(100);
    expect(writes.at(-1)?.object?.metadata).toMatchObject({ name: "a", uid: "u-a" });
  });

  test.each([0, 1, 2, 3, 4, 5])("goes on where it was when write %i fails", async (at) => {
    const { idOf, writes, namespaces, failWrite } = controllerOf();
    failWrite((index) => (index === at ? unreachable() : undefined));
    namespaces.put(namespace("a"));
    await pass(10_000);
    expect(idOf("a")).toMatch(/^[0-9]{12}$/);
    expect(writes).toHaveLength(7);
  });

  test("gives namespaces that are enabled at once different ids", async () => {
    const names = Array.from({ length: 50 }, (_, index) => `team-${index}`);
    const { idOf } = controllerOf(...names.map((name) => namespace(name)));
    await pass(1000);
    expect(new Set(names.map(idOf)).size).toBe(50);
  });

  test("gives the younger of two namespaces with one id another one", async () => {
    const id = { "kappa.dev/account-id": "123456789012" };
    const { idOf } = controllerOf(
      namespace("copy", { annotations: id, creationTimestamp: "2026-01-02T00:00:00Z" }),
      namespace("original", { annotations: id }),
    );
    await pass(1000);
    expect(idOf("original")).toBe("123456789012");
    expect(idOf("copy")).toMatch(/^(?!123456789012)[0-9]{12}$/);
  });

  test("writes one policy per account when the cluster's addresses change", async () => {
    const { writes, setExceptions } = controllerOf(namespace("a"), namespace("b"));
    await pass(1000);
    writes.length = 0;
    setExceptions(["10.0.0.0/8", "203.0.113.7/32"]);
    await pass(1000);
    expect(writes.map(({ name }) => name)).toEqual(["kappa-public-egress", "kappa-public-egress"]);
  });

  test("tells a namespace that goes once when its last pod is gone", async () => {
    const { writes, namespaces, pods, idOf } = controllerOf(namespace("a"));
    const pod = (name: string): KubeObject => ({ apiVersion: "v1", kind: "Pod", metadata: { name, namespace: "a" } });
    pods.put(pod("p"));
    pods.put(pod("q"));
    await pass(1_000);
    const id = idOf("a");
    writes.length = 0;
    namespaces.put(namespace("a", { annotations: { "kappa.dev/account-id": `${id}` }, deletionTimestamp: "2026-01-01T00:01:00Z" }));
    await pass(10_000);
    pods.remove("a", "p");
    await pass(10_000);
    expect(writes).toEqual([]);
    pods.remove("a", "q");
    await pass(600_000);
    expect(writes.map(({ kind, object }) => [kind, Object.keys(object?.metadata.annotations ?? {})])).toEqual([
      ["Namespace", ["kappa.dev/account-id", "kappa.dev/emptied-at"]],
    ]);
    expect(idOf("a")).toBe(id);
  });

  test("leaves a namespace alone that is gone when its turn comes", async () => {
    const { writes, namespaces, failures } = controllerOf();
    failures.push(notFound());
    namespaces.put(namespace("a"));
    namespaces.remove(undefined, "a");
    await pass(60_000);
    expect(writes.length).toBeLessThanOrEqual(1);
  });
});
