import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { FunctionStatus, Function as LambdaFunction } from "../../api/types.generated.ts";
import { BusError } from "../../bus/index.ts";
import { KappaError } from "../../domain/errors.ts";
import { type KubeObject, systemClock } from "../../kube/index.ts";
import type { NamespaceObject } from "../accounts/decide.ts";
import type { Controller } from "../context.ts";
import { conflict, FakeCache, fakeContext, forbidden, notFound, unreachable } from "../testing/fakes.ts";
import { CodeIntake } from "./code-intake.ts";
import { type ConfigMapObject, ConfigMaps, onlyVersion } from "./config-maps.ts";
import { functionController } from "./controller.ts";
import { inlinePackage } from "./inline-package.ts";

beforeEach(() => vi.useFakeTimers());
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
    uid: "u-team",
    labels: { "kappa.dev/enabled": "true" },
    annotations: { "kappa.dev/account-id": "123456789012" },
    ...special,
  },
});
function fn(
  name: string,
  code: LambdaFunction["spec"]["code"] = { inline: `# ${name}` },
  special: Partial<LambdaFunction["metadata"]> = {},
): LambdaFunction {
  return {
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: {
      name,
      namespace: "team",
      uid: `u-${name}`,
      generation: 1,
      resourceVersion: "1",
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...special,
    },
    spec: {
      runtime: "python3.11",
      handler: "index.handler",
      code,
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
}
const bytesOf = (text: string) => inlinePackage({ runtime: "python3.11", handler: "index.handler", text });
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const url = (name: string, bytes: Uint8Array) => ({ url: { url: `https://packages.example/${name}`, sha256: sha256(bytes) } });

/** A controller over these functions, with a store and a web in memory. */
function controllerOf(...objects: LambdaFunction[]) {
  const fake = fakeContext();
  const functions = new FakeCache<LambdaFunction>(...objects);
  const namespaces = new FakeCache<NamespaceObject>(account());
  const store = { packages: new Set<string>(), failures: [] as Error[] };
  const web = new Map<string, () => Promise<Uint8Array>>();
  const downloads: string[] = [];
  let version = 1;
  /** Whether the watch brings what is written at once; else the cache stays stale. */
  const watch = { delivers: true };
  fake.onApply = (intent: KubeObject) => {
    const cached = functions.get("team", intent.metadata.name);
    if (!cached) throw notFound();
    const written = {
      ...cached,
      metadata: { ...cached.metadata, resourceVersion: String(++version) },
      status: (intent as LambdaFunction).status ?? {},
    };
    if (watch.delivers) functions.put(written);
    return written;
  };
  const intake = new CodeIntake({
    packages: {
      has: async (digest) => store.packages.has(digest),
      async put(digest) {
        const failure = store.failures.shift();
        if (failure) throw failure;
        store.packages.add(digest);
      },
    },
    userObjects: {
      openObject: async (bucket, key) =>
        Promise.reject(new BusError(`object ${key} of bucket ${bucket} does not exist`, { retryable: false, notFound: true })),
    },
    urls: {
      async download(target, _, signal) {
        downloads.push(target);
        const page = web.get(target);
        if (!page) throw new KappaError("K204", `${target} answered with status 404`);
        const aborted = new Promise<never>((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(new KappaError("K204", `${target}: aborted`))),
        );
        return [await Promise.race([page(), aborted])] as unknown as AsyncIterable<Uint8Array>;
      },
    },
    // In memory: what is written to a disk comes back after an unknown time.
    scratch: {
      async hold(content, _, use) {
        const pieces: Uint8Array[] = [];
        for await (const piece of content) pieces.push(piece);
        const bytes = Buffer.concat(pieces);
        return use({ path: "/dev/null", sha256: sha256(bytes), size: bytes.length });
      },
    },
    // What a package may contain has tests of its own.
    check: async () => {},
    metrics: fake.context.metrics,
    clock: systemClock,
  });
  const stored = new Map<string, ConfigMapObject>();
  const reads: string[] = [];
  const cachedConfigMaps = new FakeCache<KubeObject>();
  const configMaps = new ConfigMaps(
    () => Object.assign(cachedConfigMaps, { synced: async () => {}, start() {}, stop: async () => {} }),
    async (_, name) => {
      reads.push(name);
      return stored.get(name);
    },
  );
  /** Writes a ConfigMap, and the watch tells of it. */
  const putConfigMap = (object: ConfigMapObject) => {
    stored.set(object.metadata.name, object);
    cachedConfigMaps.put(onlyVersion(object));
  };
  const controller = functionController({
    ...fake.context,
    functions,
    namespaces,
    configMaps,
    intake,
    region: "us-east-1",
    runtimes: ["python3.11"],
    accountConcurrency: 110,
    workers: 2,
  });
  running.push(controller);
  controller.start();
  const statusOf = (name: string): FunctionStatus | undefined => functions.get("team", name)?.status;
  return { ...fake, functions, namespaces, store, web, downloads, watch, intake, controller, statusOf, reads, putConfigMap };
}
/** Lets everything happen that is due within this time. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("the function controller", () => {
  test("writes one status for a new inline function, and nothing more", async () => {
    const { writes, statusOf, store, events } = controllerOf(fn("a"));
    await pass(600_000);
    expect(writes).toHaveLength(1);
    expect(statusOf("a")).toMatchObject({ state: "Active" });
    expect(store.packages).toEqual(new Set([sha256(bytesOf("# a"))]));
    expect(events).toEqual(["Active"]);
  });

  test("says that a reservation is a limit only, as long as the account cannot keep it", async () => {
    const reserving = (name: string, reserved: number, second: number) => {
      const object = fn(name, undefined, { creationTimestamp: `2026-01-01T00:00:0${second}Z` });
      return { ...object, spec: { ...object.spec, reservedConcurrentExecutions: reserved } };
    };
    const { functions, statusOf } = controllerOf(reserving("a", 6, 1), reserving("b", 5, 2));
    const reasonOf = (name: string) => statusOf(name)?.conditions?.map(({ status, reason }) => [status, reason]);
    await pass(1_000);
    expect([reasonOf("a"), reasonOf("b")]).toEqual([[["True", "Active"]], [["True", "ReservationRefused"]]]);
    functions.remove("team", "a");
    await pass(1_000);
    expect(reasonOf("b")).toEqual([["True", "Active"]]);
  });

  test("owns nothing but the status of this very object", async () => {
    const { writes } = controllerOf(fn("a"));
    await pass(100);
    expect(Object.keys(writes[0]?.object ?? {})).toEqual(["apiVersion", "kind", "metadata", "status"]);
    expect(writes[0]?.object?.metadata).toEqual({ name: "a", namespace: "team", uid: "u-a" });
  });

  test("stable: no writes", async () => {
    const first = controllerOf(fn("a"));
    await pass(100);
    const settled = first.functions.get("team", "a");
    if (!settled) throw new Error("the function is there");
    const second = controllerOf(settled);
    await pass(600_000);
    expect(second.writes).toEqual([]);
    expect(second.store.packages.size).toBe(0);
  });

  test("leaves a function alone that is being deleted", async () => {
    const { writes } = controllerOf(fn("a", undefined, { deletionTimestamp: "2026-01-01T00:00:00Z" }));
    await pass(10_000);
    expect(writes).toEqual([]);
  });

  test("leaves a function alone that is gone when its turn comes", async () => {
    const { writes, functions, controller } = controllerOf();
    controller.requeue(fn("a"));
    functions.remove("team", "a");
    await pass(10_000);
    expect(writes).toEqual([]);
  });

  test("writes nothing into a namespace that is going away", async () => {
    const { writes, namespaces, functions } = controllerOf();
    namespaces.put(account({ deletionTimestamp: "2026-01-01T00:00:00Z" }));
    functions.put(fn("a"));
    await pass(10_000);
    expect(writes).toEqual([]);
  });

  test("decides from what it wrote while its cache is stale, and does not write again", async () => {
    const { writes, watch, functions, controller } = controllerOf();
    watch.delivers = false;
    functions.put(fn("a"));
    for (let round = 0; round < 5; round++) {
      controller.requeue(fn("a"));
      await pass(1000);
    }
    expect(writes).toHaveLength(1);
  });
});

describe("a write that fails", () => {
  test.each([
    ["the API server is away", unreachable],
    ["somebody else wrote", conflict],
    ["a right is missing, until it is given", forbidden],
  ])("because %s is tried again until it succeeds", async (_, failure) => {
    const { failures, writes, statusOf, functions } = controllerOf();
    failures.push(failure(), failure(), failure());
    functions.put(fn("a"));
    await pass(60_000);
    expect(writes).toHaveLength(4);
    expect(statusOf("a")).toMatchObject({ state: "Active" });
  });

  test("because the function is gone is not tried again", async () => {
    const { failures, writes, functions } = controllerOf();
    failures.push(notFound());
    functions.put(fn("a"));
    await pass(600_000);
    expect(writes).toHaveLength(1);
  });
});

describe("the package store", () => {
  test("being away leaves the function Pending with the reason, and it becomes Active when the store is back", async () => {
    const { store, statusOf, functions, writes } = controllerOf();
    const away = () => new BusError("storing package: not connected to NATS", { retryable: true });
    store.failures.push(away(), away());
    functions.put(fn("a"));
    await pass(50);
    expect(statusOf("a")).toMatchObject({
      state: "Pending",
      conditions: [{ reason: "PackageUnavailable", message: expect.stringContaining("not connected to NATS") }],
    });
    await pass(60_000);
    expect(statusOf("a")).toMatchObject({ state: "Active" });
    // One for the reason, one for the success: a retry that fails in the same way writes nothing.
    expect(writes).toHaveLength(2);
  });

  test("having lost a package gets it again", async () => {
    const { store, intake, controller, functions } = controllerOf(fn("a"));
    await pass(100);
    const [digest = ""] = store.packages;
    store.packages.clear();
    intake.lost([digest]);
    const found = functions.get("team", "a");
    if (found) controller.requeue(found);
    await pass(100);
    expect(store.packages).toEqual(new Set([digest]));
  });
});

describe("code from a URL", () => {
  test("is announced, fetched once and then in force", async () => {
    const bytes = bytesOf("# remote");
    const { web, functions, statusOf, downloads, writes } = controllerOf();
    web.set("https://packages.example/p", async () => bytes);
    functions.put(fn("a", url("p", bytes)));
    await pass(60_000);
    expect(statusOf("a")).toMatchObject({ state: "Active", effective: { packageSha256: sha256(bytes) } });
    expect(downloads).toHaveLength(1);
    expect(writes.map(({ object }) => (object as LambdaFunction).status?.state)).toEqual(["Pending", "Active"]);
  });

  test("that is slow holds up no other function", async () => {
    const { web, functions, statusOf } = controllerOf();
    web.set("https://packages.example/slow", () => new Promise(() => {}));
    for (const name of ["a", "b", "c", "d"]) functions.put(fn(name, url("slow", bytesOf(name))));
    functions.put(fn("quick"));
    await pass(1000);
    expect(statusOf("quick")).toMatchObject({ state: "Active" });
    expect(statusOf("a")).toMatchObject({ state: "Pending" });
  });

  test("that is slow holds up no other namespace's downloads, however many functions have it", async () => {
    const bytes = bytesOf("# other team");
    const { web, functions, namespaces, downloads } = controllerOf();
    namespaces.put(account({ name: "others", uid: "u-others", annotations: { "kappa.dev/account-id": "210987654321" } }));
    web.set("https://packages.example/slow", () => new Promise(() => {}));
    web.set("https://packages.example/quick", async () => bytes);
    for (const name of ["a", "b", "c", "d"]) functions.put(fn(name, url("slow", bytesOf(name))));
    await pass(1000);
    functions.put(fn("e", url("quick", bytes), { namespace: "others" }));
    await pass(1000);
    expect(downloads.map((target) => target.split("/").at(-1))).toEqual(["slow", "quick"]);
  });

  test("that changed while it was fetched is fetched again, and the newest is in force", async () => {
    const [old, young] = [bytesOf("# old"), bytesOf("# young")];
    const { web, functions, statusOf, store } = controllerOf();
    let answer = (_: Uint8Array) => {};
    web.set("https://packages.example/old", () => new Promise((resolve) => (answer = resolve)));
    web.set("https://packages.example/young", async () => young);
    functions.put(fn("a", url("old", old)));
    await pass(100);
    const cached = functions.get("team", "a");
    functions.put({
      ...fn("a", url("young", young), { generation: 2, resourceVersion: "900" }),
      ...(cached?.status ? { status: cached.status } : {}),
    });
    await pass(100);
    answer(old);
    await pass(60_000);
    expect(statusOf("a")).toMatchObject({ state: "Active", observedGeneration: 2, effective: { packageSha256: sha256(young) } });
    expect(store.packages.has(sha256(young))).toBe(true);
  });

  test("that cannot be had is tried again with growing pauses, and is not announced anew each time", async () => {
    const bytes = bytesOf("# late");
    const { web, functions, statusOf, downloads, writes } = controllerOf();
    functions.put(fn("a", url("late", bytes)));
    await pass(300_000);
    expect(statusOf("a")).toMatchObject({ state: "Pending", conditions: [{ reason: "PackageUnavailable" }] });
    expect(writes).toHaveLength(2);
    expect(downloads.length).toBeGreaterThan(4);
    expect(downloads.length).toBeLessThan(15);
    web.set("https://packages.example/late", async () => bytes);
    await pass(130_000);
    expect(statusOf("a")).toMatchObject({ state: "Active" });
  });

  test("that is not the declared package is refused and not fetched again", async () => {
    const { web, functions, statusOf, downloads, store } = controllerOf();
    web.set("https://packages.example/other", async () => bytesOf("# swapped"));
    functions.put(fn("a", { url: { url: "https://packages.example/other", sha256: "0".repeat(64) } }));
    await pass(600_000);
    expect(statusOf("a")).toMatchObject({ state: "Failed", stateReasonCode: "InvalidZipFileException" });
    expect(downloads).toHaveLength(1);
    expect(store.packages.size).toBe(0);
  });
});

describe("code in a ConfigMap", () => {
  const configMap = (resourceVersion: string, text: string): ConfigMapObject => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "code", namespace: "team", uid: "u-code", resourceVersion },
    data: { "index.py": text },
  });

  test("is read once for each of its versions, whatever else changes", async () => {
    const { functions, statusOf, reads, putConfigMap } = controllerOf();
    functions.put(fn("a", { configMap: { name: "code", key: "index.py" } }));
    await pass(1000);
    expect(statusOf("a")).toMatchObject({ state: "Pending", conditions: [{ reason: "PackageUnavailable" }] });
    expect(reads).toHaveLength(0);
    putConfigMap(configMap("10", "# one"));
    await pass(1000);
    expect(statusOf("a")).toMatchObject({ state: "Active", effective: { packageSha256: sha256(bytesOf("# one")) } });
    const cached = functions.get("team", "a");
    if (cached) functions.put({ ...cached, metadata: { ...cached.metadata, generation: 2 }, spec: { ...cached.spec, timeout: 60 } });
    await pass(1000);
    expect(statusOf("a")).toMatchObject({ observedGeneration: 2, effective: { timeout: 60 } });
    expect(reads).toHaveLength(1);
    putConfigMap(configMap("11", "# two"));
    await pass(1000);
    expect(statusOf("a")).toMatchObject({ effective: { packageSha256: sha256(bytesOf("# two")) } });
    expect(reads).toHaveLength(2);
  });
});

describe("two functions with one name", () => {
  test("run one after the other: the younger when the older is gone", async () => {
    const named = (name: string, creationTimestamp: string) => {
      const made = fn(name, undefined, { creationTimestamp });
      return { ...made, spec: { ...made.spec, functionName: "Twice" } };
    };
    const { functions, statusOf } = controllerOf(named("younger", "2026-01-02T00:00:00Z"), named("older", "2026-01-01T00:00:00Z"));
    await pass(100);
    expect(statusOf("older")).toMatchObject({ state: "Active" });
    expect(statusOf("younger")?.conditions?.[0]).toMatchObject({ reason: "NameConflict" });
    functions.remove("team", "older");
    await pass(100);
    expect(statusOf("younger")).toMatchObject({ state: "Active" });
  });
});
