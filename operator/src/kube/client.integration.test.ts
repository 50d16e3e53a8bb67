import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { useApiServer } from "../../testing/index.ts";
import { systemClock } from "./clock.ts";
import { KubeClient, KubeError, type KubeObject, type RequestSample, Resources } from "./index.ts";
import { TcpProxy } from "./testing/tcp-proxy.ts";

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

const server = useApiServer();
const open: { close(): Promise<unknown> }[] = [];
function closing<T extends { close(): Promise<unknown> }>(resource: T): T {
  open.push(resource);
  return resource;
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((resource) => resource.close()));
});

const admin = (options = {}) => closing(KubeClient.fromKubeconfig(server().kubeconfig, options));
const configMap = (name: string, data: Record<string, string> = {}): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace: "default" },
  data,
});
const at = (name: string) => ({ namespace: "default", name });

async function failureOf(operation: Promise<unknown>): Promise<KubeError> {
  const error: unknown = await operation.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (error instanceof KubeError) return error;
  throw new Error(`expected a KubeError, got ${String(error)}`);
}

describe("an object", () => {
  it("has the named items of a list changed by a strategic patch of its subresource, and no others", async () => {
    const client = admin();
    interface Pod extends KubeObject {
      spec: object;
      status?: { conditions?: { type: string; status: string; reason?: string }[] };
    }
    // A controller that does not run here makes one in every namespace.
    await client.create(Resources.serviceAccount, { apiVersion: "v1", kind: "ServiceAccount", metadata: at("default") });
    await client.create<Pod>(Resources.pod, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "conditions", namespace: "default" },
      spec: { containers: [{ name: "main", image: "image" }], automountServiceAccountToken: false },
    });
    const say = (type: string, status: string) =>
      client.strategicPatch<Pod>(
        Resources.pod,
        { ...at("conditions"), subresource: "status" },
        { status: { conditions: [{ type, status }] } },
      );
    await say("First", "True");
    await say("Second", "True");
    const { status } = await say("First", "False");
    expect(status?.conditions?.map(({ type, status }) => [type, status])).toEqual(
      expect.arrayContaining([
        ["First", "False"],
        ["Second", "True"],
      ]),
    );
    expect(status?.conditions).toHaveLength(2);
  });

  it("is created once, read, replaced only by whoever saw its last version, and deleted once", async () => {
    const client = admin();
    const created = await client.create(Resources.configMap, configMap("one", { a: "1" }));
    expect(await failureOf(client.create(Resources.configMap, configMap("one")))).toMatchObject({
      status: 409,
      alreadyExists: true,
      conflict: false,
      retryable: false,
    });

    const changed = await client.update(Resources.configMap, { ...created, data: { a: "2" } });
    expect(await failureOf(client.update(Resources.configMap, { ...created, data: { a: "3" } }))).toMatchObject({
      status: 409,
      conflict: true,
      retryable: true,
    });
    expect(await client.get<ConfigMap>(Resources.configMap, at("one"))).toMatchObject({
      data: { a: "2" },
      metadata: { uid: changed.metadata.uid },
    });

    expect(await client.delete(Resources.configMap, at("one"))).toBe(true);
    expect(await client.delete(Resources.configMap, at("one"))).toBe(false);
    expect(await client.get(Resources.configMap, at("one"))).toBeUndefined();
  });

  it("that was made anew under the same name is not deleted in place of the old one", async () => {
    const client = admin();
    const first = await client.create(Resources.configMap, configMap("twin"));
    await client.delete(Resources.configMap, at("twin"));
    const second = await client.create(Resources.configMap, configMap("twin"));
    expect(await client.delete(Resources.configMap, { ...at("twin"), uid: first.metadata.uid })).toBe(false);
    expect(await client.get(Resources.configMap, at("twin"))).toBeDefined();
    expect(await client.delete(Resources.configMap, { ...at("twin"), uid: second.metadata.uid })).toBe(true);
  });

  it("that is applied takes exactly the intent of its manager: what is left out goes, what others own stays", async () => {
    const client = admin();
    await client.apply(Resources.configMap, configMap("applied", { mine: "1", dropped: "1" }), { fieldManager: "a" });
    await client.apply(Resources.configMap, configMap("applied", { theirs: "1" }), { fieldManager: "b" });
    const result = await client.apply(Resources.configMap, configMap("applied", { mine: "2", theirs: "forced" }), { fieldManager: "a" });
    expect(result.data).toEqual({ mine: "2", theirs: "forced" });
  });

  it("has a status that is applied apart from the rest", async () => {
    const client = admin();
    const fn = {
      apiVersion: Resources.function.apiVersion,
      kind: "Function",
      metadata: at("with-status"),
      spec: { runtime: "python3.11", handler: "main.handler", code: { inline: "def handler(event, context):\n  return event\n" } },
    };
    await client.create(Resources.function, fn);
    const status = { ...fn, spec: undefined, status: { state: "Pending" } };
    const result = await client.apply<KubeObject & { status?: unknown; spec?: unknown }>(Resources.function, status, {
      fieldManager: "a",
      subresource: "status",
    });
    expect(result).toMatchObject({ spec: { handler: "main.handler" }, status: { state: "Pending" } });
  });

  it("that the API server refuses is refused with its reason and message", async () => {
    const client = admin();
    const error = await failureOf(client.create(Resources.configMap, configMap("Not_A_Name")));
    expect(error).toMatchObject({ status: 422, reason: "Invalid", retryable: false, code: "K301" });
    expect(error.message).toContain("POST /api/v1/namespaces/default/configmaps");
    expect(error.message).toContain("Not_A_Name");
  });
});

describe("a list", () => {
  it("of more than one page is complete and has one resource version", async () => {
    const samples: RequestSample[] = [];
    const client = admin({ onRequest: (sample: RequestSample) => samples.push(sample) });
    const names = Array.from({ length: 1_050 }, (_, i) => `page-${String(i).padStart(4, "0")}`);
    await Promise.all(
      names.map((name) => client.create(Resources.configMap, { ...configMap(name), metadata: { ...at(name), labels: { test: "page" } } })),
    );
    samples.length = 0;
    const { items, resourceVersion } = await client.list<ConfigMap>(Resources.configMap, { labelSelector: "test=page" });
    expect(items.map((item) => item.metadata.name).sort()).toEqual(names);
    expect(items[0]).toMatchObject({ apiVersion: "v1", kind: "ConfigMap" });
    expect(resourceVersion).toMatch(/^\d+$/);
    expect(samples.map((s) => `${s.verb} ${s.resource} ${s.status}`)).toEqual([
      "list configmaps 200",
      "list configmaps 200",
      "list configmaps 200",
    ]);
  });

  it("can be narrowed to a namespace, labels and fields", async () => {
    const client = admin();
    await client.create(Resources.configMap, { ...configMap("narrow"), metadata: { ...at("narrow"), labels: { test: "narrow" } } });
    const names = async (options: object) => (await client.list(Resources.configMap, options)).items.map((item) => item.metadata.name);
    expect(await names({ labelSelector: "test=narrow" })).toEqual(["narrow"]);
    expect(await names({ namespace: "default", fieldSelector: "metadata.name=narrow" })).toEqual(["narrow"]);
    expect(await names({ namespace: "kube-public", labelSelector: "test=narrow" })).toEqual([]);
  });
});

describe("connections", () => {
  async function throughProxy(options = {}) {
    const proxy = closing(new TcpProxy(server().url));
    const port = await proxy.listen();
    const client = closing(KubeClient.fromKubeconfig(server().kubeconfig.replaceAll(server().url, `https://127.0.0.1:${port}`), options));
    return { proxy, client };
  }

  it("are kept: 100 calls one after the other use at most two, 100 at once four", async () => {
    const { proxy, client } = await throughProxy();
    for (let i = 0; i < 100; i++) await client.get(Resources.namespace, { name: "default" });
    expect(proxy.accepted).toBeLessThanOrEqual(2);
    await Promise.all(Array.from({ length: 100 }, () => client.get(Resources.namespace, { name: "default" })));
    expect(proxy.accepted).toBe(4);
  });

  it("that broke are made anew, and until then calls fail as what can be tried again", async () => {
    const { proxy, client } = await throughProxy();
    await client.get(Resources.namespace, { name: "default" });
    proxy.cut();
    expect(await failureOf(client.get(Resources.namespace, { name: "default" }))).toMatchObject({ status: 0, retryable: true });
    proxy.restore();
    expect(await client.get(Resources.namespace, { name: "default" })).toBeDefined();
  });

  it("that went silent do not hold a call longer than its time", async () => {
    const { proxy, client } = await throughProxy({ timeoutMs: 300, connections: 1 });
    await client.get(Resources.namespace, { name: "default" });
    proxy.freeze();
    const error = await failureOf(client.get(Resources.namespace, { name: "default" }));
    expect(error).toMatchObject({ status: 0, reason: "Timeout", retryable: true });
    expect(error.message).toContain("within 300 ms");
    // The silent connection was given up with its call.
    expect(await client.get(Resources.namespace, { name: "default" })).toBeDefined();
  });

  it("to a server that accepts and never answers end in time, also those that wait for a free one", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const port = typeof address === "object" && address ? address.port : 0;
    const client = closing(
      KubeClient.fromKubeconfig(server().kubeconfig.replaceAll(server().url, `https://127.0.0.1:${port}`), {
        timeoutMs: 200,
        connections: 1,
      }),
    );
    const errors = await Promise.all(Array.from({ length: 5 }, () => failureOf(client.get(Resources.namespace, { name: "default" }))));
    expect(errors.map((error) => error.reason)).toEqual(Array(5).fill("Timeout"));
    silent.close();
  });

  it("are refused after close, and a caller can give up", async () => {
    const { client } = await throughProxy();
    const signal = AbortSignal.abort();
    expect(await failureOf(client.getRaw("/version", { signal }))).toMatchObject({ reason: "Aborted" });
    await client.close();
    expect(await failureOf(client.getRaw("/version"))).toMatchObject({ reason: "Closed" });
  });
});

describe("a pod's token", () => {
  let folder: string;
  const writeToken = (token: string) => writeFile(join(folder, "token"), token);
  let tokens: string[];

  beforeAll(async () => {
    const client = KubeClient.fromKubeconfig(server().kubeconfig);
    tokens = await Promise.all(
      ["rotates-a", "rotates-b"].map(async (name) => {
        await client.create(Resources.serviceAccount, { apiVersion: "v1", kind: "ServiceAccount", metadata: at(name) });
        const answer = await client.post<{ status: { token: string } }>(`/api/v1/namespaces/default/serviceaccounts/${name}/token`, {
          apiVersion: "authentication.k8s.io/v1",
          kind: "TokenRequest",
          spec: { expirationSeconds: 3_600 },
        });
        return answer.status.token;
      }),
    );
    await client.close();
    folder = await mkdtemp(join(tmpdir(), "kappa-kube-"));
    const config = parse(server().kubeconfig) as { clusters: [{ cluster: { "certificate-authority-data": string } }] };
    await writeFile(join(folder, "ca.crt"), Buffer.from(config.clusters[0].cluster["certificate-authority-data"], "base64"));
    return () => rm(folder, { recursive: true });
  });

  function inCluster() {
    const { hostname: host, port } = new URL(server().url);
    let now = 0;
    const clock = { ...systemClock, monotonic: () => now };
    const client = closing(KubeClient.inCluster({ host, port, serviceAccountDir: folder, clock }));
    const whoAmI = async () => {
      const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
      const answer = await client.post<{ status: { userInfo: { username: string } } }>(
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        review,
      );
      return answer.status.userInfo.username.split(":").at(-1);
    };
    return { client, whoAmI, pass: (ms: number) => (now += ms) };
  }

  it("is read again each minute, so that its replacement is used before it expires", async () => {
    await writeToken(`${tokens[0]}\n`);
    const { whoAmI, pass } = inCluster();
    expect(await whoAmI()).toBe("rotates-a");
    await writeToken(tokens[1] ?? "");
    expect(await whoAmI()).toBe("rotates-a");
    pass(60_001);
    expect(await whoAmI()).toBe("rotates-b");
  });

  it("that is refused is read again at once, and refused for good only if it is still the same", async () => {
    await writeToken("expired");
    const { client, whoAmI } = inCluster();
    expect(await failureOf(client.getRaw("/version"))).toMatchObject({ status: 401, retryable: false });
    expect((await failureOf(whoAmI())).status).toBe(401);
    await writeToken(tokens[0] ?? "");
    expect(await whoAmI()).toBe("rotates-a");
  });

  it("has the rights of its account and no other: 403 with the identity in the message", async () => {
    await writeToken(tokens[0] ?? "");
    const { client } = inCluster();
    const error = await failureOf(client.list(Resources.secret));
    expect(error).toMatchObject({ status: 403, reason: "Forbidden", retryable: false });
    expect(error.message).toContain("system:serviceaccount:default:rotates-a");
  });

  it("that cannot be read is an error of configuration", async () => {
    const client = closing(KubeClient.inCluster({ host: "127.0.0.1", port: "1", serviceAccountDir: join(folder, "nowhere") }));
    await expect(client.getRaw("/version")).rejects.toMatchObject({ code: "K300" });
  });
});

describe("raw paths", () => {
  it("serve the cluster's signing keys and access reviews", async () => {
    const samples: RequestSample[] = [];
    const client = admin({ onRequest: (sample: RequestSample) => samples.push(sample) });
    expect((await client.getRaw<{ keys: unknown[] }>("/openid/v1/jwks")).keys).toHaveLength(1);
    const review = await client.post<{ status: { allowed: boolean } }>("/apis/authorization.k8s.io/v1/subjectaccessreviews", {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: {
        user: "nobody",
        resourceAttributes: {
          verb: "create",
          group: "kappa.dev",
          resource: "functions",
          subresource: "invoke",
          namespace: "default",
          name: "x",
        },
      },
    });
    expect(review.status.allowed).toBe(false);
    expect(samples.map((s) => `${s.verb} ${s.resource} ${s.status}`)).toEqual(["get jwks 200", "post subjectaccessreviews 201"]);
  });
});
