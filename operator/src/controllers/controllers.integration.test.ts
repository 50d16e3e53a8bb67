/** Accounts, functions and what else the controllers look after, in a real cluster. Versions and aliases: versions.integration.test.ts. */
import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { strToU8, zipSync } from "fflate";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { NAMESPACE as SYSTEM } from "../../images/testing/chart.ts";
import { kubectl } from "../../testing/index.ts";
import type { Function as LambdaFunction } from "../api/types.generated.ts";
import { putUserObject } from "../bus/testing/user-objects.ts";
import { type KubeObject, Resources } from "../kube/index.ts";
import type { ConfigMapObject } from "./functions/config-maps.ts";
import type { ConditionedObject } from "./kinds/decide.ts";
import {
  activeWith,
  eventually,
  functionObject as manifest,
  namespaceObject,
  present,
  ready,
  sha256,
  useRealCluster,
  zip,
} from "./testing/real-cluster.ts";

const cluster = useRealCluster();
let web: Server;
let webUrl: string;
/** What the web server answers, by path. */
const pages = new Map<string, Uint8Array>();
const downloads: string[] = [];

beforeAll(async () => {
  web = createServer((request, response) => {
    downloads.push(request.url ?? "");
    const page = pages.get(request.url ?? "");
    if (page) response.end(page);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  webUrl = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
});
afterAll(() => {
  web?.close();
});

const ENABLED = { "kappa.dev/enabled": "true" };
const applyFunction = (fn: LambdaFunction) => cluster().apply<LambdaFunction>(Resources.function, fn);
const functionOf = (namespace: string, name: string) => cluster().get<LambdaFunction>(Resources.function, namespace, name);
async function contentOf(digest: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of (await cluster().bus.packages.open(digest)).stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

// First, while no other test has left anything that is waiting.
describe("a quiet cluster", () => {
  test("with 100 idle functions nothing is written, and a restarted controller writes nothing either", async () => {
    const namespace = await cluster().account();
    const names = Array.from({ length: 100 }, (_, index) => `idle-${index}`);
    await Promise.all(names.map((name) => applyFunction(manifest(namespace, name, { inline: `def handler(e, c): return "${name}"` }))));
    await eventually(
      async () => (await cluster().admin.list<LambdaFunction>(Resources.function, { namespace })).items,
      (items) => items.length === 100 && items.every(activeWith(1)),
    );
    await cluster().quiet(2000);
    const before = cluster().writes().length;
    const reads = cluster().requests.filter(({ verb, resource }) => (verb === "get" || verb === "list") && resource !== "leases").length;
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    expect(cluster().writes().slice(before)).toEqual([]);
    expect(cluster().requests.filter(({ verb, resource }) => (verb === "get" || verb === "list") && resource !== "leases").length).toBe(
      reads,
    );

    const stopped = cluster().writes().length;
    await cluster().restart();
    await cluster().quiet(2000);
    expect(cluster().writes().slice(stopped)).toEqual([]);
  }, 120_000);
});

describe("accounts", () => {
  test("an enabled namespace gets an id, an identity for environments, isolation and the gateway's rights", async () => {
    const name = await cluster().account();
    const enabled = present(
      await eventually(
        cluster().get<KubeObject>(Resources.namespace, undefined, name),
        (n) => n?.metadata.annotations?.["kappa.dev/account-id"] !== undefined,
      ),
    );
    expect(enabled.metadata.annotations?.["kappa.dev/account-id"]).toMatch(/^[0-9]{12}$/);
    expect(await cluster().get(Resources.serviceAccount, name, "kappa-environment")()).toMatchObject({
      automountServiceAccountToken: false,
    });
    expect(await cluster().get(Resources.roleBinding, name, "kappa-gateway-account")()).toMatchObject({
      roleRef: { kind: "ClusterRole", name: "kappa-gateway-account" },
      subjects: [{ kind: "ServiceAccount", name: "kappa-gateway", namespace: SYSTEM }],
    });
    const { items } = await cluster().admin.list<KubeObject>(Resources.networkPolicy, { namespace: name });
    expect(items.map(({ metadata }) => metadata.name).toSorted()).toEqual([
      "kappa-base-egress",
      "kappa-default-deny",
      "kappa-public-egress",
    ]);
  });

  test("the internet of every account leaves out a new node", async () => {
    const name = await cluster().account();
    const policy = cluster().get<KubeObject>(Resources.networkPolicy, name, "kappa-public-egress");
    await eventually(policy, (p) => p !== undefined);
    await cluster().admin.create(Resources.node, { apiVersion: "v1", kind: "Node", metadata: { name: "node-1" } });
    const status = { addresses: [{ type: "InternalIP", address: "198.51.100.77" }] };
    await cluster().admin.mergePatch(Resources.node, { name: "node-1" }, { status }, { subresource: "status" });
    await eventually(policy, (p) => JSON.stringify(p).includes("198.51.100.77/32"));
    await cluster().admin.delete(Resources.node, { name: "node-1" });
    await eventually(policy, (p) => !JSON.stringify(p).includes("198.51.100.77/32"));
  });

  test("what somebody opens or deletes comes back", async () => {
    const name = await cluster().account();
    const policy = cluster().get<KubeObject & { spec?: { ingress?: unknown[] } }>(Resources.networkPolicy, name, "kappa-default-deny");
    await eventually(policy, (p) => p !== undefined);
    await cluster().admin.mergePatch(Resources.networkPolicy, { namespace: name, name: "kappa-default-deny" }, { spec: { ingress: [{}] } });
    await eventually(policy, (p) => p !== undefined && p.spec?.ingress === undefined);
    await cluster().admin.delete(Resources.networkPolicy, { namespace: name, name: "kappa-default-deny" });
    await eventually(policy, (p) => p !== undefined);
  });

  test("somebody else's object is not touched, and the gateway gets no right until it is gone", async () => {
    const name = cluster().freshName();
    await cluster().admin.create(Resources.namespace, namespaceObject(name));
    const foreign = {
      apiVersion: "v1",
      kind: "ServiceAccount",
      metadata: { name: "kappa-environment", namespace: name, labels: { mine: "yes" } },
    };
    await cluster().admin.create(Resources.serviceAccount, foreign);
    await cluster().admin.mergePatch(Resources.namespace, { name }, { metadata: { labels: ENABLED } });
    await eventually(cluster().get(Resources.networkPolicy, name, "kappa-default-deny"), (p) => p !== undefined);
    await cluster().quiet(300);
    expect(await cluster().get(Resources.roleBinding, name, "kappa-gateway-account")()).toBeUndefined();
    expect(present(await cluster().get(Resources.serviceAccount, name, "kappa-environment")()).metadata.labels).toEqual({ mine: "yes" });
    expect(present(await cluster().get(Resources.namespace, undefined, name)()).metadata.annotations ?? {}).not.toHaveProperty(
      "kappa.dev/account-id",
    );
  });

  test("disabling takes away what Kappa made and keeps the id, and enabling again gives the same account", async () => {
    const name = await cluster().account();
    const id = (n: KubeObject | undefined) => n?.metadata.annotations?.["kappa.dev/account-id"];
    const before = id(await eventually(cluster().get(Resources.namespace, undefined, name), (n) => id(n) !== undefined));
    await cluster().admin.mergePatch(Resources.namespace, { name }, { metadata: { labels: { "kappa.dev/enabled": null } } });
    for (const [resource, object] of [
      [Resources.roleBinding, "kappa-gateway-account"],
      [Resources.networkPolicy, "kappa-default-deny"],
      [Resources.networkPolicy, "kappa-public-egress"],
      [Resources.serviceAccount, "kappa-environment"],
    ] as const)
      await eventually(cluster().get(resource, name, object), (o) => o === undefined);
    await cluster().admin.mergePatch(Resources.namespace, { name }, { metadata: { labels: ENABLED } });
    await eventually(cluster().get(Resources.roleBinding, name, "kappa-gateway-account"), (o) => o !== undefined);
    expect(id(await cluster().get(Resources.namespace, undefined, name)())).toBe(before);
  });
});

describe("functions", () => {
  test("inline code becomes Active, and its package is in the store under its digest", async () => {
    const namespace = await cluster().account();
    const fn = await cluster().created(
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
    const namespace = await cluster().account();
    await applyFunction(manifest(namespace, "broken", { zip: Buffer.from("no zip archive at all").toString("base64") }));
    const failed = await eventually(functionOf(namespace, "broken"), (fn) => fn?.status?.state === "Failed");
    expect(failed?.status).toMatchObject({ stateReasonCode: "InvalidZipFileException", stateReason: expect.stringContaining("(K200)") });
    expect(failed?.status).not.toHaveProperty("effective");
    await applyFunction(manifest(namespace, "broken", { zip: Buffer.from(zip("def handler(e, c): return 1")).toString("base64") }));
    await eventually(functionOf(namespace, "broken"), activeWith(2));
  });

  test("a zip that would write outside of its root is never stored", async () => {
    const namespace = await cluster().account();
    const evil = zipSync({ "../evil.py": strToU8("x") });
    await applyFunction(manifest(namespace, "evil", { zip: Buffer.from(evil).toString("base64") }));
    const failed = await eventually(functionOf(namespace, "evil"), (fn) => fn?.status?.state === "Failed");
    expect(failed?.status?.stateReason).toContain("(K202)");
    expect(await cluster().bus.packages.has(sha256(evil))).toBe(false);
  });

  test("a configuration change does not fetch the code again and gets a new revision", async () => {
    const namespace = await cluster().account();
    const bytes = zip("def handler(e, c): return 'config'");
    pages.set("/config.zip", bytes);
    const code = { url: { url: `${webUrl}/config.zip`, sha256: sha256(bytes) } };
    const before = await cluster().created(manifest(namespace, "config", code));
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
    const namespace = await cluster().account();
    const put = async (special: object) => {
      const fn = manifest(namespace, "emptied", { inline: "def handler(e, c): return 1" }, special);
      expect(await kubectl(cluster().kubeconfigPath, ["apply", ...way, "-f", "-"], stringify(fn))).toMatchObject({ code: 0, stderr: "" });
    };
    await put({ environment: { variables: { STAGE: "1" } } });
    const before = present(await eventually(functionOf(namespace, "emptied"), activeWith(1)));
    expect(before.status?.effective?.environment).toEqual({ STAGE: "1" });
    await put({});
    const after = present(await eventually(functionOf(namespace, "emptied"), activeWith(2)));
    expect(after.status?.effective?.environment).toEqual({});
  });

  test("a package from a URL with another digest never becomes the function's", async () => {
    const namespace = await cluster().account();
    const bytes = zip("def handler(e, c): return 'swapped'");
    pages.set("/swapped.zip", bytes);
    await applyFunction(manifest(namespace, "digest", { url: { url: `${webUrl}/swapped.zip`, sha256: "0".repeat(64) } }));
    const failed = await eventually(functionOf(namespace, "digest"), (fn) => fn?.status?.state === "Failed");
    expect(failed?.status).toMatchObject({ stateReasonCode: "InvalidZipFileException", stateReason: expect.stringContaining("(K203)") });
    expect(await cluster().bus.packages.has(sha256(bytes))).toBe(false);
  });

  test("a URL that is not there yet keeps the function Pending, and it becomes Active when it is", async () => {
    const namespace = await cluster().account();
    const bytes = zip("def handler(e, c): return 'late'");
    await applyFunction(manifest(namespace, "late", { url: { url: `${webUrl}/late.zip`, sha256: sha256(bytes) } }));
    const waiting = await eventually(functionOf(namespace, "late"), (fn) => ready(fn)?.reason === "PackageUnavailable");
    expect(waiting?.status).toMatchObject({ state: "Pending", stateReasonCode: "Creating" });
    pages.set("/late.zip", bytes);
    await eventually(functionOf(namespace, "late"), activeWith(1));
  });

  test("a failed update leaves the former configuration in force", async () => {
    const namespace = await cluster().account();
    const before = await cluster().created(manifest(namespace, "steady", { inline: "def handler(e, c): return 1" }));
    await applyFunction(manifest(namespace, "steady", { zip: Buffer.from("broken").toString("base64") }, { timeout: 60 }));
    const after = await eventually(functionOf(namespace, "steady"), (fn) => fn?.status?.lastUpdateStatus === "Failed");
    expect(after?.status).toMatchObject({ state: "Active", lastUpdateStatusReasonCode: "InvalidZipFileException", observedGeneration: 2 });
    expect(after?.status?.effective).toEqual(before.status?.effective);
  });

  test("code in a ConfigMap is followed as it changes, also when it comes late", async () => {
    const namespace = await cluster().account();
    await applyFunction(manifest(namespace, "mapped", { configMap: { name: "code", key: "package.zip" } }));
    await eventually(functionOf(namespace, "mapped"), (fn) => ready(fn)?.reason === "PackageUnavailable");
    const configMap = (bytes: Uint8Array): ConfigMapObject => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "code", namespace },
      binaryData: { "package.zip": Buffer.from(bytes).toString("base64") },
    });
    const [first, second] = [zip("def handler(e, c): return 1"), zip("def handler(e, c): return 2")];
    await cluster().admin.create(Resources.configMap, configMap(first));
    const is = (bytes: Uint8Array) => (fn: LambdaFunction | undefined) =>
      activeWith(1)(fn) && fn?.status?.effective?.packageSha256 === sha256(bytes);
    const before = await eventually(functionOf(namespace, "mapped"), is(first));
    await cluster().admin.update(Resources.configMap, configMap(second));
    const after = await eventually(functionOf(namespace, "mapped"), is(second));
    expect(after?.status?.effective?.revisionId).not.toBe(before?.status?.effective?.revisionId);
  });

  test("code in an object store comes from the namespace's own bucket", async () => {
    const namespace = await cluster().account();
    const bytes = zip("def handler(e, c): return 'object'");
    await putUserObject({ url: cluster().nats.url, seed: cluster().userAdminSeed }, `${namespace}_code`, "app/v1.zip", bytes);
    const fn = await cluster().created(manifest(namespace, "object", { object: { bucket: "code", key: "app/v1.zip" } }));
    expect(fn.status?.effective?.packageSha256).toBe(sha256(bytes));
    const elsewhere = await cluster().account();
    await applyFunction(manifest(elsewhere, "object", { object: { bucket: "code", key: "app/v1.zip" } }));
    await eventually(functionOf(elsewhere, "object"), (other) => ready(other)?.reason === "PackageUnavailable");
  });

  test("a function in a namespace that is not enabled says how to enable it, and runs once it is", async () => {
    const namespace = cluster().freshName();
    await cluster().admin.create(Resources.namespace, namespaceObject(namespace));
    await applyFunction(manifest(namespace, "early", { inline: "def handler(e, c): return 1" }));
    const waiting = await eventually(functionOf(namespace, "early"), (fn) => ready(fn) !== undefined);
    expect(ready(waiting)).toMatchObject({
      status: "False",
      reason: "NamespaceNotEnabled",
      message: expect.stringContaining(`kubectl label namespace ${namespace}`),
    });
    await cluster().admin.mergePatch(Resources.namespace, { name: namespace }, { metadata: { labels: ENABLED } });
    await eventually(functionOf(namespace, "early"), activeWith(1));
  });

  test("a runtime that is not installed fails with those that are", async () => {
    const namespace = await cluster().account();
    await applyFunction(manifest(namespace, "java", { zip: "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==" }, { runtime: "java17", handler: "A::b" }));
    const failed = await eventually(functionOf(namespace, "java"), (fn) => fn?.status?.state === "Failed");
    expect(failed?.status).toMatchObject({ stateReasonCode: "InvalidRuntime", stateReason: expect.stringContaining("python3.11") });
  });

  test("of two functions with one name the older runs, and the younger when it is gone", async () => {
    const namespace = await cluster().account();
    const code = { inline: "def handler(e, c): return 1" };
    await cluster().created(manifest(namespace, "first", code, { functionName: "Twice" }));
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await applyFunction(manifest(namespace, "second", code, { functionName: "Twice" }));
    const refused = await eventually(functionOf(namespace, "second"), (fn) => ready(fn) !== undefined);
    expect(ready(refused)).toMatchObject({ reason: "NameConflict" });
    await cluster().admin.delete(Resources.function, { namespace, name: "first" });
    await eventually(functionOf(namespace, "second"), activeWith(1));
  });
});

describe("other objects", () => {
  test("finished environment pods are swept after their grace, others are left alone", async () => {
    const namespace = await cluster().account();
    await eventually(cluster().get(Resources.serviceAccount, namespace, "kappa-environment"), (s) => s !== undefined);
    const pod = (name: string, labels: Record<string, string>) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace, labels },
      spec: { serviceAccountName: "kappa-environment", automountServiceAccountToken: false, containers: [{ name: "c", image: "none" }] },
    });
    await cluster().admin.create(Resources.pod, pod("done", { "kappa.dev/component": "environment" }));
    await cluster().admin.create(Resources.pod, pod("other", {}));
    const finishedAt = new Date(Date.now() - 120_000).toISOString();
    const terminated = { exitCode: 0, finishedAt, startedAt: finishedAt };
    const status = {
      phase: "Succeeded",
      containerStatuses: [{ name: "c", image: "none", imageID: "", ready: false, restartCount: 0, state: { terminated } }],
    };
    for (const name of ["done", "other"])
      await cluster().admin.mergePatch(Resources.pod, { namespace, name }, { status }, { subresource: "status" });
    await eventually(cluster().get(Resources.pod, namespace, "done"), (p) => p === undefined);
    expect(await cluster().get(Resources.pod, namespace, "other")()).toBeDefined();
  });

  test("kinds without a controller say once that they are not reconciled", async () => {
    const namespace = await cluster().account();
    const layer: KubeObject & { spec: unknown } = {
      apiVersion: "kappa.dev/v1alpha1",
      kind: "LayerVersion",
      metadata: { name: "pillow", namespace },
      spec: { layerName: "pillow", content: { object: { bucket: "layers", key: "pillow.zip" } } },
    };
    await cluster().admin.create(Resources.layerVersion, layer);
    const reported = await eventually(
      cluster().get<ConditionedObject>(Resources.layerVersion, namespace, "pillow"),
      (o) => ready(o) !== undefined,
    );
    expect(ready(reported)).toMatchObject({ status: "Unknown", reason: "NotReconciled", observedGeneration: 1 });
  });
});

describe("two replicas", () => {
  test("one writes, and the other takes over at once when it stops", async () => {
    const second = cluster().startReplica();
    try {
      await second.synced;
      expect(second.notReady()).toEqual([]);
      expect([cluster().controllers.isLeader, second.isLeader]).toEqual([true, false]);
      await cluster().controllers.stop();
      await eventually(
        async () => second.isLeader,
        (leads) => leads,
      );
      const namespace = await cluster().account();
      await cluster().created(manifest(namespace, "taken-over", { inline: "def handler(e, c): return 1" }));
    } finally {
      await second.stop();
    }
  });
});
