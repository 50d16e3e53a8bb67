import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { binary } from "../../testing/binaries.ts";
import { ServerProcess, withFreePorts } from "../../testing/process.ts";
import {
  KubeClient,
  type KubeObject,
  Reflector,
  type ReflectorEvent,
  type ReflectorOptions,
  type RequestSample,
  Resources,
} from "./index.ts";
import { TcpProxy } from "./testing/tcp-proxy.ts";

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

/** An API server that can be killed and started again on the same store, and whose store can forget its history. */
class ControlPlane {
  #folder = "";
  #etcd: ServerProcess | undefined;
  #server: ServerProcess | undefined;
  #ports: number[] = [];
  #token = randomBytes(16).toString("hex");

  async start(): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), "kappa-reflector-"));
    await writeFile(join(this.#folder, "tokens.csv"), `${this.#token},admin,admin,"system:masters"\n`);
    await withFreePorts(3, async (ports) => {
      this.#ports = ports;
      const [client, peer] = ports.map((port) => `http://127.0.0.1:${port}`);
      const flags = [`--data-dir=${join(this.#folder, "etcd")}`, `--listen-client-urls=${client}`, `--advertise-client-urls=${client}`];
      flags.push(
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=default=${peer}`,
        "--unsafe-no-fsync=true",
      );
      this.#etcd = new ServerProcess(binary("etcd"), [...flags, "--log-level=warn"]);
      await this.startServer();
    });
  }

  async startServer(): Promise<void> {
    this.#server = new ServerProcess(binary("kube-apiserver"), [
      `--etcd-servers=http://127.0.0.1:${this.#ports[0]}`,
      "--bind-address=127.0.0.1",
      "--advertise-address=127.0.0.1",
      `--secure-port=${this.#ports[2]}`,
      `--cert-dir=${this.#folder}`,
      `--token-auth-file=${join(this.#folder, "tokens.csv")}`,
      "--authorization-mode=RBAC",
      "--service-account-issuer=https://kubernetes.default.svc",
      // It signs and checks nothing here; the server's own key will do.
      `--service-account-key-file=${await this.#key()}`,
      `--service-account-signing-key-file=${await this.#key()}`,
      "--service-cluster-ip-range=10.96.0.0/16",
      "--endpoint-reconciler-type=none",
      // Watches of ConfigMaps are served by etcd itself, so that a compaction is felt at once.
      "--watch-cache-sizes=configmaps#0",
    ]);
    await this.#server.ready(async () => {
      try {
        const client = KubeClient.fromKubeconfig(await this.kubeconfig(), { timeoutMs: 2_000 });
        return await client.getRaw("/readyz?verbose=false").then(
          () => true,
          // It answers "ok", which is not JSON.
          (error: unknown) => error instanceof Error && error.message.includes("not JSON"),
        );
      } catch {
        return false;
      }
    }, 90_000);
  }

  killServer = (): Promise<void> | undefined => this.#server?.kill();

  async stop(): Promise<void> {
    await this.#server?.kill();
    await this.#etcd?.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  get url(): string {
    return `https://127.0.0.1:${this.#ports[2]}`;
  }

  async kubeconfig(url = this.url): Promise<string> {
    const authority = (await readFile(join(this.#folder, "apiserver.crt"))).toString("base64");
    return JSON.stringify({
      clusters: [{ name: "test", cluster: { server: url, "certificate-authority-data": authority } }],
      users: [{ name: "test", user: { token: this.#token } }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
      "current-context": "test",
    });
  }

  /** Makes etcd forget everything before now. */
  async compact(): Promise<void> {
    const etcd = async (path: string, body: object): Promise<{ header?: { revision?: string } }> => {
      const answer = await fetch(`http://127.0.0.1:${this.#ports[0]}/v3/kv/${path}`, { method: "POST", body: JSON.stringify(body) });
      if (!answer.ok) throw new Error(`etcd: ${path}: ${answer.status} ${await answer.text()}`);
      return (await answer.json()) as { header?: { revision?: string } };
    };
    const { header } = await etcd("range", { key: Buffer.from("/").toString("base64") });
    await etcd("compaction", { revision: header?.revision, physical: true });
  }

  async #key(): Promise<string> {
    const path = join(this.#folder, "sa.key");
    await readFile(path).catch(() =>
      writeFile(
        path,
        generateKeyPairSync("rsa", {
          modulusLength: 2048,
          publicKeyEncoding: { type: "spki", format: "pem" },
          privateKeyEncoding: { type: "pkcs1", format: "pem" },
        }).privateKey,
      ),
    );
    return path;
  }
}

const plane = new ControlPlane();
/** Straight to the server: what happens while the reflector does not hear of it. */
let direct: KubeClient;
let proxy: TcpProxy;
let samples: RequestSample[];
let client: KubeClient;
let proxyPort = 0;
let namespace = "";
let started: Reflector<ConfigMap>[] = [];

beforeAll(async () => {
  await plane.start();
  direct = KubeClient.fromKubeconfig(await plane.kubeconfig());
});
afterAll(async () => {
  await direct?.close();
  await plane.stop();
});
beforeEach(async () => {
  proxy = new TcpProxy(plane.url);
  proxyPort = await proxy.listen();
  samples = [];
  client = KubeClient.fromKubeconfig(await plane.kubeconfig(`https://127.0.0.1:${proxyPort}`), {
    onRequest: (sample) => samples.push(sample),
  });
  namespace = `test-${randomBytes(4).toString("hex")}`;
  await direct.create(Resources.namespace, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((reflector) => reflector.stop()));
  started = [];
  await client.close();
  await proxy.close();
});

function reflect(options: Partial<ReflectorOptions<ConfigMap>> = {}) {
  const events: ReflectorEvent<ConfigMap>[] = [];
  const errors: unknown[] = [];
  const reflector = new Reflector<ConfigMap>(client, {
    resource: Resources.configMap,
    namespace,
    backoff: { baseMs: 50, maxMs: 500 },
    onError: (error) => errors.push(error),
    ...options,
  });
  reflector.subscribe((event) => events.push(event));
  started.push(reflector);
  reflector.start();
  return {
    reflector,
    events,
    errors,
    told: () =>
      events.map(
        (event) => `${event.type} ${event.object.metadata.name}${event.type === "upsert" ? ` ${event.object.data?.v ?? ""}` : ""}`,
      ),
  };
}
const configMap = (name: string, v: string, labels?: Record<string, string>): ConfigMap => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, namespace, ...(labels ? { labels } : {}) },
  data: { v },
});
const put = (name: string, v: string, labels?: Record<string, string>) =>
  direct.apply(Resources.configMap, configMap(name, v, labels), { fieldManager: "test" });
const remove = (name: string) => direct.delete(Resources.configMap, { namespace, name });
const verbs = () => samples.map((sample) => sample.verb);

describe("a reflector", () => {
  it("has what was there, tells every change, and shows the new state to whoever is told", async () => {
    await put("a", "1");
    const { reflector, told } = reflect();
    await reflector.synced();
    expect(reflector.get(namespace, "a")).toMatchObject({ apiVersion: "v1", kind: "ConfigMap", data: { v: "1" } });
    expect(reflector.get(namespace, "a")?.metadata.managedFields).toBeUndefined();
    const states: (string | undefined)[] = [];
    reflector.subscribe((event) => states.push(reflector.get(namespace, event.object.metadata.name)?.data?.v));
    await put("b", "1");
    await put("a", "2");
    await remove("b");
    await expect.poll(told).toEqual(["upsert a 1", "upsert b 1", "upsert a 2", "delete b"]);
    expect(states).toEqual(["1", "1", "2", undefined]);
    expect(reflector.list().map((object) => object.metadata.name)).toEqual(["a"]);
  });

  it("tells what was there to whoever subscribes late, and nothing to whoever left", async () => {
    await put("a", "1");
    const { reflector } = reflect();
    await reflector.synced();
    const late: string[] = [];
    const leave = reflector.subscribe((event) => late.push(event.object.metadata.name));
    expect(late).toEqual(["a"]);
    leave();
    await put("b", "1");
    await expect.poll(() => reflector.size).toBe(2);
    expect(late).toEqual(["a"]);
  });

  it("goes on when a subscriber throws", async () => {
    const { reflector, errors, told } = reflect();
    await reflector.synced();
    reflector.subscribe(() => {
      throw new Error("of the subscriber");
    });
    await put("a", "1");
    await put("b", "1");
    await expect.poll(told).toEqual(["upsert a 1", "upsert b 1"]);
    expect(errors.map(String)).toEqual(["Error: of the subscriber", "Error: of the subscriber"]);
  });

  it("keeps only what its transform leaves, and takes an object that leaves the selection for deleted", async () => {
    await put("a", "1", { in: "yes" });
    await put("b", "1");
    const transform = (object: ConfigMap): ConfigMap => {
      const { name, uid, resourceVersion } = object.metadata;
      return {
        apiVersion: object.apiVersion,
        kind: object.kind,
        metadata: { name, namespace, ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) },
      };
    };
    const { reflector, told } = reflect({ labelSelector: "in=yes", transform });
    await reflector.synced();
    expect(reflector.get(namespace, "a")?.data).toBeUndefined();
    await put("b", "2", { in: "yes" });
    await put("a", "2");
    await expect.poll(told).toEqual(["upsert a ", "upsert b ", "delete a"]);
  });

  it("of metadata only is sent no data, neither by the list nor by the watch", async () => {
    await put("a", "1");
    const { reflector, told, events } = reflect({ metadataOnly: true });
    await reflector.synced();
    await put("a", "2");
    await put("b", "1");
    await remove("a");
    await expect.poll(() => told().length).toBe(4);
    expect(events.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual(["upsert a", "upsert a", "upsert b", "delete a"]);
    expect(events.filter(({ object }) => object.data !== undefined)).toEqual([]);
  });

  it("that is stopped before its first list says so to whoever waits", async () => {
    proxy.cut();
    const { reflector } = reflect();
    const waiting = expect(reflector.synced()).rejects.toMatchObject({ reason: "Stopped" });
    await reflector.stop();
    await waiting;
  });

  it("waits for a server that is not there yet", async () => {
    await put("a", "1");
    proxy.cut();
    const { reflector, errors } = reflect();
    await expect.poll(() => errors.length).toBeGreaterThan(1);
    expect(reflector.hasSynced).toBe(false);
    proxy.restore();
    await reflector.synced();
    expect(reflector.size).toBe(1);
  });
});

describe("after an interruption", () => {
  it("a reflector goes on where it was: every change comes, and nothing is listed again", async () => {
    for (const name of ["a", "b", "c"]) await put(name, "1");
    const { reflector, events, told } = reflect();
    await reflector.synced();
    events.length = 0;
    proxy.cut();
    await remove("a");
    await put("b", "2");
    await put("d", "1");
    proxy.restore();
    await expect.poll(told).toEqual(["delete a", "upsert b 2", "upsert d 1"]);
    expect(verbs().filter((verb) => verb === "list")).toHaveLength(1);
  });

  it("of which the server has forgotten the history, it lists again and tells the difference, deletions included", async () => {
    for (const name of ["gone", "changed", "same", "anew"]) await put(name, "1");
    const { reflector, events, told } = reflect();
    await reflector.synced();
    const same = reflector.get(namespace, "same");
    const firstAnew = reflector.get(namespace, "anew")?.metadata.uid;
    events.length = 0;
    proxy.cut();
    await remove("gone");
    await put("changed", "2");
    await remove("anew");
    await put("anew", "1");
    await put("new", "1");
    await plane.compact();
    proxy.restore();
    await expect.poll(() => told().sort()).toEqual(["delete anew", "delete gone", "upsert anew 1", "upsert changed 2", "upsert new 1"]);
    expect(told().indexOf("delete anew")).toBeLessThan(told().indexOf("upsert anew 1"));
    expect(events.find((event) => event.type === "delete" && event.object.metadata.name === "anew")?.object.metadata.uid).toBe(firstAnew);
    expect(events.find((event) => event.object.metadata.name === "changed")?.old?.data).toEqual({ v: "1" });
    // What did not change is the same object still.
    expect(reflector.get(namespace, "same")).toBe(same);
    expect(samples.filter((sample) => sample.verb === "watch").map((sample) => sample.status)).not.toContain(500);
    await put("same", "2");
    await expect.poll(told).toContain("upsert same 2");
  });

  it("by the death and restart of the API server, it goes on", async () => {
    await put("a", "1");
    const { reflector, told } = reflect();
    await reflector.synced();
    await plane.killServer();
    await expect.poll(() => samples.some((sample) => sample.status === 0), { timeout: 10_000 }).toBe(true);
    await plane.startServer();
    await put("a", "2");
    await expect.poll(told, { timeout: 15_000 }).toEqual(["upsert a 1", "upsert a 2"]);
  });

  it("that nobody noticed, because the connection is silent, it reconnects by itself", async () => {
    const { reflector, errors, told } = reflect({ idleTimeoutMs: 700 });
    await reflector.synced();
    await expect.poll(() => verbs().includes("watch")).toBe(true);
    proxy.freeze();
    await put("a", "1");
    await expect.poll(told, { timeout: 10_000 }).toEqual(["upsert a 1"]);
    expect(verbs().filter((verb) => verb === "list")).toHaveLength(1);
    // Silence may be peace: it is no failure.
    expect(errors).toEqual([]);
  });
});

describe("a list of several pages", () => {
  it("of which the server forgets the history between two pages is read again in one piece, and complete", async () => {
    const names = Array.from({ length: 501 }, (_, i) => `page-${i}`);
    await Promise.all(names.map((name) => direct.create(Resources.configMap, configMap(name, "1"))));
    const statuses: number[] = [];
    const forgetful = KubeClient.fromKubeconfig(await plane.kubeconfig(`https://127.0.0.1:${proxyPort}`), {
      connections: 1,
      onRequest: ({ status }) => {
        // The first page is here: the question for the second waits until its answer is gone.
        if (statuses.push(status) > 1) return;
        proxy.freeze();
        void put("meanwhile", "1")
          .then(() => plane.compact())
          .then(() => proxy.thaw());
      },
    });
    const { items } = await forgetful.list<ConfigMap>(Resources.configMap, { namespace });
    await forgetful.close();
    expect(items.map((item) => item.metadata.name).sort()).toEqual([...names, "meanwhile"].sort());
    expect(statuses).toEqual([200, 410, 200]);
  });
});

describe("a quiet collection", () => {
  it("stays current by bookmarks, and an orderly end of a watch is no failure and no reason to list", async () => {
    // The API server sends a bookmark shortly before a watch of its cache ends, if that lives long enough (15 s do) and something happened.
    const { reflector, events, errors } = reflect({ resource: Resources.secret, watchSeconds: 15, random: () => 0 });
    await expect.poll(() => verbs().includes("watch")).toBe(true);
    const before = Number(reflector.resourceVersion);
    // Somebody else's secret, in another namespace: the collection that is watched does not change.
    const other = { apiVersion: "v1", kind: "Secret", metadata: { name: `other-${namespace}`, namespace: "default" } };
    await direct.create(Resources.secret, other);
    await expect.poll(() => Number(reflector.resourceVersion), { timeout: 40_000 }).toBeGreaterThan(before);
    await expect.poll(() => verbs().filter((verb) => verb === "watch").length, { timeout: 40_000 }).toBeGreaterThan(1);
    expect(verbs().filter((verb) => verb === "list")).toHaveLength(1);
    expect([events, errors]).toEqual([[], []]);
  });
});
