/** The controllers against a real API server and a real NATS, with exactly the rights that the chart and the bootstrap job give them. */
import { createHash, randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { strToU8, zipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { renderChart, NAMESPACE as SYSTEM } from "../../images/testing/chart.ts";
import { kubectl, startNats, type TestNats, useApiServer } from "../../testing/index.ts";
import type { Function as LambdaFunction } from "../api/types.generated.ts";
import { authConf } from "../bootstrap/auth-conf.ts";
import { type Bus, connectBus, connectUserBus, type UserBus } from "../bus/index.ts";
import { createUserKey } from "../bus/nkeys.ts";
import { putUserObject } from "../bus/testing/user-objects.ts";
import { EventRecorder, KubeClient, type KubeObject, type RequestSample, type ResourceRef, Resources, systemClock } from "../kube/index.ts";
import { createControllerMetrics } from "../telemetry/controller-metrics.ts";
import type { ConfigMapObject } from "./functions/config-maps.ts";
import { type ControllerConfig, type Controllers, startControllers } from "./index.ts";
import type { ConditionedObject } from "./kinds/decide.ts";

/** Generous: the machine may be busy with a build. What is awaited here takes milliseconds on an idle one. */
const PATIENCE_MS = 40_000;

const api = useApiServer();
const keys = { controller: createUserKey(), gateway: createUserKey(), controllerInUser: createUserKey(), userAdmin: createUserKey() };
const requests: RequestSample[] = [];
let nats: TestNats;
let bus: Bus;
let userBus: UserBus;
let admin: KubeClient;
let controllerClient: KubeClient;
let events: EventRecorder;
let controllers: Controllers;
let web: Server;
let webUrl: string;
/** What the web server answers, by path. */
const pages = new Map<string, Uint8Array>();
const downloads: string[] = [];

const config = (): Omit<ControllerConfig, "instance"> => ({
  namespace: SYSTEM,
  region: "us-east-1",
  workers: 4,
  runtimes: ["python3.11"],
  gatewayServiceAccount: "kappa-gateway",
  clusterCidrs: ["10.244.0.0/16", "10.96.0.0/16"],
  urlAllowCidrs: ["127.0.0.0/8"],
  network: { gatewayAgentPort: 8081, gatewayApiPort: 8080, dns: { namespace: "kube-system", podLabels: { "k8s-app": "kube-dns" } } },
});

function start(instance = `controller-${randomUUID()}`): Controllers {
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const metrics = createControllerMetrics();
  return startControllers(
    { client: controllerClient, events, metrics, clock: systemClock, log: silent, packages: bus.packages, userObjects: userBus },
    { ...config(), instance },
  );
}

/** Kinds of the chart that say what the controller may do. */
const RIGHTS = /^(ServiceAccount|(Cluster)?Role(Binding)?|ValidatingAdmissionPolicy(Binding)?)$/;

/** Installs the chart's rights and returns a kubeconfig of the controller's ServiceAccount. */
async function controllerKubeconfig(): Promise<string> {
  await admin.create(Resources.namespace, namespaceObject(SYSTEM));
  const rights = (await renderChart()).filter(({ kind }) => RIGHTS.test(kind));
  const run = async (args: string[], input = ""): Promise<string> => {
    const { code, stdout, stderr } = await kubectl(api().kubeconfigPath, args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  await run(["apply", "--server-side", "-f", "-"], rights.map((object) => stringify(object)).join("---\n"));
  return api().kubeconfigFor(await run(["create", "token", "kappa-controller", "-n", SYSTEM]));
}

beforeAll(async () => {
  const { controller, gateway, controllerInUser, userAdmin } = keys;
  nats = await startNats({
    config: authConf({
      controller: controller.publicKey,
      gateway: gateway.publicKey,
      controllerInUser: controllerInUser.publicKey,
      userAdmin: userAdmin.publicKey,
    }),
  });
  bus = await connectBus({ servers: nats.url, seed: controller.seed, name: "test" });
  userBus = await connectUserBus({ servers: nats.url, seed: controllerInUser.seed, name: "test" });
  web = createServer((request, response) => {
    downloads.push(request.url ?? "");
    const page = pages.get(request.url ?? "");
    if (page) response.end(page);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  webUrl = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
  admin = KubeClient.fromKubeconfig(api().kubeconfig);
  controllerClient = KubeClient.fromKubeconfig(await controllerKubeconfig(), { onRequest: (sample) => requests.push(sample) });
  events = new EventRecorder(controllerClient, { reportingController: "kappa.dev/controller", reportingInstance: "test" });
  controllers = start();
  await controllers.synced;
});
afterAll(async () => {
  await controllers?.stop();
  await events?.stop();
  await Promise.all([bus?.close(), userBus?.close(), admin?.close(), controllerClient?.close()]);
  web?.close();
  await nats?.stop();
});

const namespaceObject = (name: string, labels: Record<string, string> = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels },
});
const ENABLED = { "kappa.dev/enabled": "true" };
let counter = 0;
/** A namespace of the test's own, enabled. */
async function account(): Promise<string> {
  const name = `team-${++counter}`;
  await admin.create(Resources.namespace, namespaceObject(name, ENABLED));
  return name;
}
const zip = (text: string): Uint8Array => zipSync({ "index.py": strToU8(text) }, { mtime: new Date(1990, 1, 1) });
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const manifest = (namespace: string, name: string, code: LambdaFunction["spec"]["code"], special: Partial<LambdaFunction["spec"]> = {}) =>
  ({
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name, namespace },
    spec: { runtime: "python3.11", handler: "index.handler", code, ...special },
  }) as LambdaFunction;
const applyFunction = (fn: LambdaFunction) => admin.apply<LambdaFunction>(Resources.function, fn, { fieldManager: "test" });

async function eventually<T>(look: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await look();
    if (holds(value)) return value;
    if (Date.now() > deadline)
      throw new Error(`not reached within ${PATIENCE_MS} ms; the last value was ${JSON.stringify(value, null, 1)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
const get =
  <T extends KubeObject>(resource: ResourceRef, namespace: string | undefined, name: string) =>
  () =>
    admin.get<T>(resource, { namespace, name });
const functionOf = (namespace: string, name: string) => get<LambdaFunction>(Resources.function, namespace, name);
const ready = (object: ConditionedObject | undefined) => object?.status?.conditions?.find(({ type }) => type === "Ready");
const activeWith = (generation: number) => (fn: LambdaFunction | undefined) =>
  fn?.status?.observedGeneration === generation && ready(fn as ConditionedObject)?.status === "True";
async function created(fn: LambdaFunction): Promise<LambdaFunction> {
  const { namespace = "", name } = fn.metadata;
  await applyFunction(fn);
  return present(await eventually(functionOf(namespace, name), activeWith(1)));
}
function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("nothing there");
  return value;
}
async function contentOf(digest: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of (await bus.packages.open(digest)).stream) pieces.push(piece);
  return Buffer.concat(pieces);
}
/** Writes by the controllers, leader election apart. */
const writes = () => requests.filter(({ verb, resource }) => !["get", "list", "watch"].includes(verb) && resource !== "leases");
/** Waits until nothing was written for a while. */
async function quiet(ms: number): Promise<void> {
  let count = -1;
  while (count !== writes().length) {
    count = writes().length;
    await new Promise((resolve) => setTimeout(resolve, ms));
  }
}

// First, while no other test has left anything that is waiting.
describe("a quiet cluster", () => {
  test("with 100 idle functions nothing is written, and a restarted controller writes nothing either", async () => {
    const namespace = await account();
    const names = Array.from({ length: 100 }, (_, index) => `idle-${index}`);
    await Promise.all(names.map((name) => applyFunction(manifest(namespace, name, { inline: `def handler(e, c): return "${name}"` }))));
    await eventually(
      async () => (await admin.list<LambdaFunction>(Resources.function, { namespace })).items,
      (items) => items.length === 100 && items.every(activeWith(1)),
    );
    await quiet(2000);
    const before = writes().length;
    const reads = requests.filter(({ verb, resource }) => (verb === "get" || verb === "list") && resource !== "leases").length;
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    expect(writes().slice(before)).toEqual([]);
    expect(requests.filter(({ verb, resource }) => (verb === "get" || verb === "list") && resource !== "leases").length).toBe(reads);

    await controllers.stop();
    const stopped = writes().length;
    controllers = start();
    await controllers.synced;
    await eventually(
      async () => controllers.isLeader,
      (leads) => leads,
    );
    await quiet(2000);
    expect(writes().slice(stopped)).toEqual([]);
  }, 120_000);
});

describe("accounts", () => {
  test("an enabled namespace gets an id, an identity for environments, isolation and the gateway's rights", async () => {
    const name = await account();
    const enabled = present(
      await eventually(
        get<KubeObject>(Resources.namespace, undefined, name),
        (n) => n?.metadata.annotations?.["kappa.dev/account-id"] !== undefined,
      ),
    );
    expect(enabled.metadata.annotations?.["kappa.dev/account-id"]).toMatch(/^[0-9]{12}$/);
    expect(await get(Resources.serviceAccount, name, "kappa-environment")()).toMatchObject({ automountServiceAccountToken: false });
    expect(await get(Resources.roleBinding, name, "kappa-gateway-account")()).toMatchObject({
      roleRef: { kind: "ClusterRole", name: "kappa-gateway-account" },
      subjects: [{ kind: "ServiceAccount", name: "kappa-gateway", namespace: SYSTEM }],
    });
    const { items } = await admin.list<KubeObject>(Resources.networkPolicy, { namespace: name });
    expect(items.map(({ metadata }) => metadata.name).toSorted()).toEqual([
      "kappa-base-egress",
      "kappa-default-deny",
      "kappa-public-egress",
    ]);
  });

  test("the internet of every account leaves out a new node", async () => {
    const name = await account();
    const policy = get<KubeObject>(Resources.networkPolicy, name, "kappa-public-egress");
    await eventually(policy, (p) => p !== undefined);
    await admin.create(Resources.node, { apiVersion: "v1", kind: "Node", metadata: { name: "node-1" } });
    const status = { addresses: [{ type: "InternalIP", address: "198.51.100.77" }] };
    await admin.mergePatch(Resources.node, { name: "node-1" }, { status }, { subresource: "status" });
    await eventually(policy, (p) => JSON.stringify(p).includes("198.51.100.77/32"));
    await admin.delete(Resources.node, { name: "node-1" });
    await eventually(policy, (p) => !JSON.stringify(p).includes("198.51.100.77/32"));
  });

  test("what somebody opens or deletes comes back", async () => {
    const name = await account();
    const policy = get<KubeObject & { spec?: { ingress?: unknown[] } }>(Resources.networkPolicy, name, "kappa-default-deny");
    await eventually(policy, (p) => p !== undefined);
    await admin.mergePatch(Resources.networkPolicy, { namespace: name, name: "kappa-default-deny" }, { spec: { ingress: [{}] } });
    await eventually(policy, (p) => p !== undefined && p.spec?.ingress === undefined);
    await admin.delete(Resources.networkPolicy, { namespace: name, name: "kappa-default-deny" });
    await eventually(policy, (p) => p !== undefined);
  });

  test("somebody else's object is not touched, and the gateway gets no right until it is gone", async () => {
    const name = `team-${++counter}`;
    await admin.create(Resources.namespace, namespaceObject(name));
    const foreign = {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "kappa-environment", namespace: name, labels: { mine: "yes" } },
    };
    await admin.create(Resources.serviceAccount, foreign);
    await admin.mergePatch(Resources.namespace, { name }, { metadata: { labels: ENABLED } });
    await eventually(get(Resources.networkPolicy, name, "kappa-default-deny"), (p) => p !== undefined);
    await quiet(300);
    expect(await get(Resources.roleBinding, name, "kappa-gateway-account")()).toBeUndefined();
    expect(present(await get(Resources.serviceAccount, name, "kappa-environment")()).metadata.labels).toEqual({ mine: "yes" });
    expect(present(await get(Resources.namespace, undefined, name)()).metadata.annotations ?? {}).not.toHaveProperty(
      "kappa.dev/account-id",
    );
  });

  test("disabling takes away what Kappa made and keeps the id, and enabling again gives the same account", async () => {
    const name = await account();
    const id = (n: KubeObject | undefined) => n?.metadata.annotations?.["kappa.dev/account-id"];
    const before = id(await eventually(get(Resources.namespace, undefined, name), (n) => id(n) !== undefined));
    await admin.mergePatch(Resources.namespace, { name }, { metadata: { labels: { "kappa.dev/enabled": null } } });
    for (const [resource, object] of [
      [Resources.roleBinding, "kappa-gateway-account"],
      [Resources.networkPolicy, "kappa-default-deny"],
      [Resources.networkPolicy, "kappa-public-egress"],
      [Resources.serviceAccount, "kappa-environment"],
    ] as const)
      await eventually(get(resource, name, object), (o) => o === undefined);
    await admin.mergePatch(Resources.namespace, { name }, { metadata: { labels: ENABLED } });
    await eventually(get(Resources.roleBinding, name, "kappa-gateway-account"), (o) => o !== undefined);
    expect(id(await get(Resources.namespace, undefined, name)())).toBe(before);
  });
});

describe("functions", () => {
  test("inline code becomes Active, and its package is in the store under its digest", async () => {
    const namespace = await account();
    const fn = await created(
      manifest(
        namespace,
        "hello",
        { inline: "def handler(event, context):\n    return event\n" },
        { environment: { variables: { STAGE: "1" } } },
      ),
    );
    expect(fn.status).toMatchObject({
      state: "Active",
      lastUpdateStatus: "Successful",
      effective: { runtime: "python3.11", environment: { STAGE: "1" }, memorySize: 128, role: "default" },
    });
    expect(fn.status?.functionArn).toMatch(/^arn:aws:lambda:us-east-1:\d{12}:function:hello$/);
    const { packageSha256 = "", codeSha256, codeSize } = fn.status?.effective ?? {};
    const bytes = await contentOf(packageSha256);
    expect(bytes.length).toBe(codeSize);
    expect(createHash("sha256").update(bytes).digest("base64")).toBe(codeSha256);
    expect(bytes.includes("index.py")).toBe(true);
  });

  test("a zip that cannot be read fails with Lambda's code, and a good one makes it Active", async () => {
    const namespace = await account();
    await applyFunction(manifest(namespace, "broken", { zip: Buffer.from("no zip archive at all").toString("base64") }));
    const failed = await eventually(functionOf(namespace, "broken"), (fn) => fn?.status?.state === "Failed");
    expect(failed?.status).toMatchObject({ stateReasonCode: "InvalidZipFileException", stateReason: expect.stringContaining("(K200)") });
    expect(failed?.status).not.toHaveProperty("effective");
    await applyFunction(manifest(namespace, "broken", { zip: Buffer.from(zip("def handler(e, c): return 1")).toString("base64") }));
    await eventually(functionOf(namespace, "broken"), activeWith(2));
  });

  test("a zip that would write outside of its root is never stored", async () => {
    const namespace = await account();
    const evil = zipSync({ "../evil.py": strToU8("x") });
    await applyFunction(manifest(namespace, "evil", { zip: Buffer.from(evil).toString("base64") }));
    const failed = await eventually(functionOf(namespace, "evil"), (fn) => fn?.status?.state === "Failed");
    expect(failed?.status?.stateReason).toContain("(K202)");
    expect(await bus.packages.has(sha256(evil))).toBe(false);
  });

  test("a configuration change does not fetch the code again and gets a new revision", async () => {
    const namespace = await account();
    const bytes = zip("def handler(e, c): return 'config'");
    pages.set("/config.zip", bytes);
    const code = { url: { url: `${webUrl}/config.zip`, sha256: sha256(bytes) } };
    const before = await created(manifest(namespace, "config", code));
    await applyFunction(manifest(namespace, "config", code, { timeout: 60 }));
    const after = await eventually(functionOf(namespace, "config"), activeWith(2));
    expect(after?.status?.effective).toMatchObject({ timeout: 60, packageSha256: sha256(bytes) });
    expect(after?.status?.effective?.revisionId).not.toBe(before.status?.effective?.revisionId);
    expect(downloads.filter((path) => path === "/config.zip")).toHaveLength(1);
  });

  test.each([
    ["kubectl apply", []],
    ["kubectl apply --server-side", ["--server-side"]],
  ])("a function whose last variable was taken away with %s runs without any", async (_, way) => {
    const namespace = await account();
    const put = async (special: object) => {
      const fn = manifest(namespace, "emptied", { inline: "def handler(e, c): return 1" }, special);
      expect(await kubectl(api().kubeconfigPath, ["apply", ...way, "-f", "-"], stringify(fn))).toMatchObject({ code: 0, stderr: "" });
    };
    await put({ environment: { variables: { STAGE: "1" } } });
    const before = present(await eventually(functionOf(namespace, "emptied"), activeWith(1)));
    expect(before.status?.effective?.environment).toEqual({ STAGE: "1" });
    await put({});
    const after = present(await eventually(functionOf(namespace, "emptied"), activeWith(2)));
    expect(after.status?.effective?.environment).toEqual({});
  });

  test("a package from a URL with another digest never becomes the function's", async () => {
    const namespace = await account();
    const bytes = zip("def handler(e, c): return 'swapped'");
    pages.set("/swapped.zip", bytes);
    await applyFunction(manifest(namespace, "digest", { url: { url: `${webUrl}/swapped.zip`, sha256: "0".repeat(64) } }));
    const failed = await eventually(functionOf(namespace, "digest"), (fn) => fn?.status?.state === "Failed");
    expect(failed?.status).toMatchObject({ stateReasonCode: "InvalidZipFileException", stateReason: expect.stringContaining("(K203)") });
    expect(await bus.packages.has(sha256(bytes))).toBe(false);
  });

  test("a URL that is not there yet keeps the function Pending, and it becomes Active when it is", async () => {
    const namespace = await account();
    const bytes = zip("def handler(e, c): return 'late'");
    await applyFunction(manifest(namespace, "late", { url: { url: `${webUrl}/late.zip`, sha256: sha256(bytes) } }));
    const waiting = await eventually(
      functionOf(namespace, "late"),
      (fn) => ready(fn as ConditionedObject)?.reason === "PackageUnavailable",
    );
    expect(waiting?.status).toMatchObject({ state: "Pending", stateReasonCode: "Creating" });
    pages.set("/late.zip", bytes);
    await eventually(functionOf(namespace, "late"), activeWith(1));
  });

  test("a failed update leaves the former configuration in force", async () => {
    const namespace = await account();
    const before = await created(manifest(namespace, "steady", { inline: "def handler(e, c): return 1" }));
    await applyFunction(manifest(namespace, "steady", { zip: Buffer.from("broken").toString("base64") }, { timeout: 60 }));
    const after = await eventually(functionOf(namespace, "steady"), (fn) => fn?.status?.lastUpdateStatus === "Failed");
    expect(after?.status).toMatchObject({ state: "Active", lastUpdateStatusReasonCode: "InvalidZipFileException", observedGeneration: 2 });
    expect(after?.status?.effective).toEqual(before.status?.effective);
  });

  test("code in a ConfigMap is followed as it changes, also when it comes late", async () => {
    const namespace = await account();
    await applyFunction(manifest(namespace, "mapped", { configMap: { name: "code", key: "package.zip" } }));
    await eventually(functionOf(namespace, "mapped"), (fn) => ready(fn as ConditionedObject)?.reason === "PackageUnavailable");
    const configMap = (bytes: Uint8Array): ConfigMapObject => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "code", namespace },
      binaryData: { "package.zip": Buffer.from(bytes).toString("base64") },
    });
    const [first, second] = [zip("def handler(e, c): return 1"), zip("def handler(e, c): return 2")];
    await admin.create(Resources.configMap, configMap(first));
    const is = (bytes: Uint8Array) => (fn: LambdaFunction | undefined) =>
      activeWith(1)(fn) && fn?.status?.effective?.packageSha256 === sha256(bytes);
    const before = await eventually(functionOf(namespace, "mapped"), is(first));
    await admin.update(Resources.configMap, configMap(second));
    const after = await eventually(functionOf(namespace, "mapped"), is(second));
    expect(after?.status?.effective?.revisionId).not.toBe(before?.status?.effective?.revisionId);
  });

  test("code in an object store comes from the namespace's own bucket", async () => {
    const namespace = await account();
    const bytes = zip("def handler(e, c): return 'object'");
    await putUserObject({ url: nats.url, seed: keys.userAdmin.seed }, `${namespace}_code`, "app/v1.zip", bytes);
    const fn = await created(manifest(namespace, "object", { object: { bucket: "code", key: "app/v1.zip" } }));
    expect(fn.status?.effective?.packageSha256).toBe(sha256(bytes));
    const elsewhere = await account();
    await applyFunction(manifest(elsewhere, "object", { object: { bucket: "code", key: "app/v1.zip" } }));
    await eventually(functionOf(elsewhere, "object"), (other) => ready(other as ConditionedObject)?.reason === "PackageUnavailable");
  });

  test("a function in a namespace that is not enabled says how to enable it, and runs once it is", async () => {
    const namespace = `team-${++counter}`;
    await admin.create(Resources.namespace, namespaceObject(namespace));
    await applyFunction(manifest(namespace, "early", { inline: "def handler(e, c): return 1" }));
    const waiting = await eventually(functionOf(namespace, "early"), (fn) => ready(fn as ConditionedObject) !== undefined);
    expect(ready(waiting as ConditionedObject)).toMatchObject({
      status: "False",
      reason: "NamespaceNotEnabled",
      message: expect.stringContaining(`kubectl label namespace ${namespace}`),
    });
    await admin.mergePatch(Resources.namespace, { name: namespace }, { metadata: { labels: ENABLED } });
    await eventually(functionOf(namespace, "early"), activeWith(1));
  });

  test("a runtime that is not installed fails with those that are", async () => {
    const namespace = await account();
    await applyFunction(manifest(namespace, "java", { zip: "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==" }, { runtime: "java17", handler: "A::b" }));
    const failed = await eventually(functionOf(namespace, "java"), (fn) => fn?.status?.state === "Failed");
    expect(failed?.status).toMatchObject({ stateReasonCode: "InvalidRuntime", stateReason: expect.stringContaining("python3.11") });
  });

  test("of two functions with one name the older runs, and the younger when it is gone", async () => {
    const namespace = await account();
    const code = { inline: "def handler(e, c): return 1" };
    await created(manifest(namespace, "first", code, { functionName: "Twice" }));
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await applyFunction(manifest(namespace, "second", code, { functionName: "Twice" }));
    const refused = await eventually(functionOf(namespace, "second"), (fn) => ready(fn as ConditionedObject) !== undefined);
    expect(ready(refused as ConditionedObject)).toMatchObject({ reason: "NameConflict" });
    await admin.delete(Resources.function, { namespace, name: "first" });
    await eventually(functionOf(namespace, "second"), activeWith(1));
  });
});

describe("other objects", () => {
  test("finished environment pods are swept after their grace, others are left alone", async () => {
    const namespace = await account();
    await eventually(get(Resources.serviceAccount, namespace, "kappa-environment"), (s) => s !== undefined);
    const pod = (name: string, labels: Record<string, string>) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace, labels },
      spec: { serviceAccountName: "kappa-environment", automountServiceAccountToken: false, containers: [{ name: "c", image: "none" }] },
    });
    await admin.create(Resources.pod, pod("done", { "kappa.dev/component": "environment" }));
    await admin.create(Resources.pod, pod("other", {}));
    const finishedAt = new Date(Date.now() - 120_000).toISOString();
    const terminated = { exitCode: 0, finishedAt, startedAt: finishedAt };
    const status = {
      phase: "Succeeded",
      containerStatuses: [{ name: "c", image: "none", imageID: "", ready: false, restartCount: 0, state: { terminated } }],
    };
    for (const name of ["done", "other"]) await admin.mergePatch(Resources.pod, { namespace, name }, { status }, { subresource: "status" });
    await eventually(get(Resources.pod, namespace, "done"), (p) => p === undefined);
    expect(await get(Resources.pod, namespace, "other")()).toBeDefined();
  });

  test("kinds without a controller say once that they are not reconciled", async () => {
    const namespace = await account();
    const alias: KubeObject & { spec: unknown } = {
      apiVersion: "kappa.dev/v1alpha1",
      kind: "Alias",
      metadata: { name: "prod", namespace },
      spec: { functionName: "hello", name: "PROD", functionVersion: "1" },
    };
    await admin.create(Resources.alias, alias);
    const reported = await eventually(get<ConditionedObject>(Resources.alias, namespace, "prod"), (o) => ready(o) !== undefined);
    expect(ready(reported)).toMatchObject({ status: "Unknown", reason: "NotReconciled", observedGeneration: 1 });
  });
});

describe("two replicas", () => {
  test("one writes, and the other takes over at once when it stops", async () => {
    const second = start();
    try {
      await second.synced;
      expect(second.notReady()).toEqual([]);
      expect([controllers.isLeader, second.isLeader]).toEqual([true, false]);
      await controllers.stop();
      await eventually(
        async () => second.isLeader,
        (leads) => leads,
      );
      const namespace = await account();
      await created(manifest(namespace, "taken-over", { inline: "def handler(e, c): return 1" }));
    } finally {
      await second.stop();
    }
  });
});
