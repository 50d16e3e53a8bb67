/**
 * A small world around gateways for tests: a real API server and NATS, real agents with the real Python runtime. What a cluster
 * adds is played: the kubelet by starting an agent for each pod, with a genuine bound token, and the function controller by
 * writing status.
 */
import { type ChildProcess, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { LambdaClient } from "@aws-sdk/client-lambda";
import { stringify } from "yaml";
import { type AgentProcess, startAgent } from "../../../../runtime-images/agent/testing/agent-process.ts";
import { type TestFile, zipOf } from "../../../../runtime-images/agent/testing/packages.ts";
import { pythonRuntime } from "../../../../runtime-images/agent/testing/python-runtime.ts";
import { renderChart, NAMESPACE as SYSTEM } from "../../../images/testing/chart.ts";
import { kubectl, type TestApiServer, type TestNats } from "../../../testing/index.ts";
import { TOKEN_AUDIENCE } from "../../api/environment-protocol.ts";
import type { Alias, FunctionEffective, Function as FunctionObject, Version } from "../../api/types.generated.ts";
import { authConf } from "../../bootstrap/auth-conf.ts";
import { type Bus, connectBus } from "../../bus/index.ts";
import { createUserKey } from "../../bus/nkeys.ts";
import { revisionId } from "../../domain/effective.ts";
import { KubeClient } from "../../kube/client.ts";
import { type KubeObject, Resources } from "../../kube/objects.ts";
import { Reflector } from "../../kube/reflector.ts";
import {
  ACCESS_KEY_SECRET_TYPE,
  Annotation,
  API_VERSION,
  Component,
  ENVIRONMENT_SERVICE_ACCOUNT,
  GROUP,
  Label,
} from "../../resources/labels.ts";
import { createGatewayMetrics, type GatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import { createLogger } from "../../telemetry/log.ts";
import { type Gateway, type GatewayConfig, startGateway } from "../index.ts";
import type { Pod } from "../pod.ts";
import type { ChildMessage, ParentMessage } from "./gateway-process.ts";
import { TestDirectory } from "./test-directory.ts";

const REGION = "us-east-1";
const SECRET_ACCESS_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

const NATS_KEYS = { controller: createUserKey(), gateway: createUserKey(), controllerInUser: createUserKey(), userAdmin: createUserKey() };

/** Configuration of the NATS server that a world needs: the accounts as the bootstrap writes them. */
export const NATS_CONFIG = authConf({
  controller: NATS_KEYS.controller.publicKey,
  gateway: NATS_KEYS.gateway.publicKey,
  controllerInUser: NATS_KEYS.controllerInUser.publicKey,
  userAdmin: NATS_KEYS.userAdmin.publicKey,
});

/** A gateway as callers and agents see it. */
export interface GatewayAddress {
  name: string;
  ports: Gateway["ports"];
  url: string;
}

/** A gateway in this process. */
export interface TestGateway extends Gateway {
  name: string;
  url: string;
  metrics: GatewayMetrics;
}

/** A gateway in a process of its own. */
export interface GatewayProcess extends GatewayAddress {
  /** Ends it as a node failure would. */
  kill(): Promise<void>;
  /** Ends it in order. */
  stop(graceMs: number): Promise<void>;
}

export interface FunctionSpec {
  files?: Record<string, TestFile>;
  handler?: string;
  /** Of the configuration in force. */
  over?: Partial<FunctionEffective>;
  spec?: Partial<FunctionObject["spec"]>;
  status?: Partial<NonNullable<FunctionObject["status"]>>;
}

/** A handler for most tests: echoes, with its own identity, and fails or sleeps on request. */
export const HANDLER = `
import os, time, uuid
BOOT = str(uuid.uuid4())
COUNT = 0
def handler(event, context):
    global COUNT
    COUNT += 1
    if isinstance(event, dict):
        if event.get("print"): print(event["print"])
        if event.get("sleep"): time.sleep(event["sleep"])
        if event.get("fail"): raise ValueError(event["fail"])
        if event.get("exit"): os._exit(event["exit"])
    return {"event": event, "boot": BOOT, "count": COUNT, "requestId": context.aws_request_id, "arn": context.invoked_function_arn,
            "custom": context.client_context.custom if context.client_context else None, "greeting": os.environ.get("GREETING")}
`;

export class World {
  /** A cluster administrator's. */
  readonly client: KubeClient;
  /** With exactly the rights that the chart gives a gateway. */
  readonly #gatewayKubeconfig: string;
  readonly #gatewayClient: KubeClient;
  /** The gateways' own: it reads packages only. */
  readonly bus: Bus;
  readonly #writer: Bus;
  readonly directory = new TestDirectory();
  /** Log lines of all gateways. */
  readonly log: string[] = [];
  /** Pods that agents are started for; set to hold them back. */
  startPods = true;
  readonly #held: Pod[] = [];
  readonly agents = new Map<string, AgentProcess>();
  /** Every pod that was ever seen, by namespace/name. */
  readonly podsSeen = new Set<string>();
  readonly #runtimeRoot: string;
  /** Removed with the world. */
  readonly folder: string;
  readonly #nats: TestNats;
  readonly #gateways: GatewayAddress[] = [];
  readonly #ends: (() => Promise<unknown>)[] = [];
  readonly #children = new Set<ChildProcess>();
  readonly #pods: Reflector<Pod>[] = [];
  readonly #clients: LambdaClient[] = [];
  readonly #busy = new Set<Promise<unknown>>();
  #stopping = false;

  private constructor(
    apiServer: TestApiServer,
    gatewayKubeconfig: string,
    nats: TestNats,
    buses: [controller: Bus, gateway: Bus],
    runtimeRoot: string,
    folder: string,
  ) {
    this.#nats = nats;
    this.client = KubeClient.fromKubeconfig(apiServer.kubeconfig);
    this.#gatewayKubeconfig = gatewayKubeconfig;
    this.#gatewayClient = KubeClient.fromKubeconfig(gatewayKubeconfig);
    [this.#writer, this.bus] = buses;
    this.#runtimeRoot = runtimeRoot;
    this.folder = folder;
  }

  static async create(apiServer: TestApiServer, nats: TestNats): Promise<World> {
    const [kubeconfig, writer, reader, runtimeRoot, folder] = await Promise.all([
      installRights(apiServer),
      connectBus({ servers: nats.url, name: "controller", seed: NATS_KEYS.controller.seed }),
      connectBus({ servers: nats.url, name: "gateway", seed: NATS_KEYS.gateway.seed }),
      pythonRuntime(),
      mkdtemp(join(tmpdir(), "kappa-world-")),
    ]);
    return new World(apiServer, kubeconfig, nats, [writer, reader], runtimeRoot, folder);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const client of this.#clients) client.destroy();
    await Promise.all(this.#ends.map((end) => end()));
    await Promise.all(this.#pods.map((pods) => pods.stop()));
    await Promise.all([...this.agents.values()].map((agent) => agent.stop()));
    await Promise.allSettled(this.#busy);
    await Promise.all([this.bus.close(), this.#writer.close()]);
    await Promise.all([this.client.close(), this.#gatewayClient.close()]);
    await Promise.all([rm(this.folder, { recursive: true, force: true }), rm(this.#runtimeRoot, { recursive: true, force: true })]);
  }

  #config(name: string, over: Partial<GatewayConfig>): GatewayConfig {
    return {
      instance: name,
      namespace: SYSTEM,
      region: REGION,
      listen: { host: "127.0.0.1", api: 0, agents: 0, peers: 0 },
      advertisedHost: "127.0.0.1",
      agentService: "kappa-gateway-agents",
      peerSecret: "the-peers-secret",
      lambdaEndpoint: "http://kappa-gateway.kappa-system.svc.cluster.local:80",
      images: { "python3.11": "kappa/runtime-python3.11:test" },
      environment: {
        overcommit: { memory: 0.5, cpu: 0.1 },
        agentAllowance: { memoryMb: 64, cpuMillis: 250 },
        gateway: { host: "kappa-gateway-agents", port: 8081 },
        imagePullPolicy: "IfNotPresent",
      },
      packageCache: { directory: join(this.folder, "cache", name), maxBytes: 10_000_000 },
      accountConcurrency: 1000,
      keepAliveMs: 600_000,
      startTimeoutMs: 20_000,
      // Each environment is the function's own, unless a test says otherwise.
      pools: { size: { memoryMb: 1769, requestedMb: 128 }, floor: 0, ceiling: 0, accountCeiling: 0, starting: 2, usedMs: 3_600_000 },
      ...over,
    };
  }

  /** Starts a gateway in this process and waits until it is ready. */
  async gateway(name: string, over: Partial<GatewayConfig> = {}): Promise<TestGateway> {
    const metrics = createGatewayMetrics();
    const destination = { write: (line: string) => void this.log.push(line) };
    const log = createLogger({ component: "gateway", level: "info", instance: name, destination });
    const gateway = await startGateway(
      { client: this.#gatewayClient, bus: this.bus, metrics, log, directory: this.directory },
      this.#config(name, over),
    );
    const started = { ...gateway, name, metrics, url: `http://127.0.0.1:${gateway.ports.api}` };
    this.#ends.push(() => gateway.stop(0));
    this.#list(started);
    await until(
      async () => gateway.notReady().length === 0 || undefined,
      () => `gateway ${name}: ${gateway.notReady().join("; ")}`,
    );
    return started;
  }

  /** Starts a gateway in a process of its own and waits until it is ready. */
  async gatewayProcess(name: string, over: Partial<GatewayConfig> = {}): Promise<GatewayProcess> {
    const child = fork(fileURLToPath(new URL("gateway-process.ts", import.meta.url)), {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      execArgv: [],
    });
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (lines) => this.log.push(String(lines)));
    const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const heard = (type: ChildMessage["type"]) =>
      new Promise<ChildMessage>((resolve, reject) => {
        child.on("message", (message: ChildMessage) => message.type === type && resolve(message));
        void exited.then(() => reject(new Error(`gateway ${name} ended: ${this.log.at(-1)}`)));
      });
    const [listening, ready] = [heard("listening"), heard("ready")];
    const say = (message: ParentMessage) => child.send(message);
    say({
      type: "start",
      kubeconfig: this.#gatewayKubeconfig,
      nats: { url: this.#nats.url, seed: NATS_KEYS.gateway.seed },
      config: this.#config(name, over),
    });
    const message = await listening;
    const ports = message.type === "listening" ? message.ports : { api: 0, agents: 0, peers: 0 };
    const address = { name, ports, url: `http://127.0.0.1:${ports.api}` };
    this.#children.add(child);
    this.#list(address);
    const end = async () => {
      child.kill("SIGKILL");
      await exited;
      this.#children.delete(child);
      this.#unlist(address);
    };
    this.#ends.push(end);
    await ready;
    return {
      ...address,
      kill: end,
      async stop(graceMs) {
        say({ type: "stop", graceMs });
        await exited;
        await end();
      },
    };
  }

  #list(gateway: GatewayAddress): void {
    this.#gateways.push(gateway);
    this.#announce();
  }

  #unlist(gateway: GatewayAddress): void {
    const index = this.#gateways.indexOf(gateway);
    if (index >= 0) this.#gateways.splice(index, 1);
    this.#announce();
  }

  #announce(): void {
    const candidates = this.#gateways.map(({ name, ports }) => ({
      name,
      host: "127.0.0.1",
      peerPort: ports.peers,
      agentPort: ports.agents,
    }));
    this.directory.replace(candidates);
    for (const child of this.#children) child.send({ type: "candidates", candidates } satisfies ParentMessage);
  }

  /** Makes an account with an access key whose ServiceAccount may invoke everything in it, and its kubelet. */
  async account(namespace: string, id: string): Promise<void> {
    const meta = (name: string) => ({ name, namespace });
    await this.client.create(Resources.namespace, {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace, labels: { [Label.enabled]: "true" }, annotations: { [Annotation.accountId]: id } },
    });
    for (const name of ["default", ENVIRONMENT_SERVICE_ACCOUNT, "caller", "stranger"])
      await this.client.create(Resources.serviceAccount, { apiVersion: "v1", kind: "ServiceAccount", metadata: meta(name) });
    await this.client.post(`/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/roles`, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: meta("invoker"),
      rules: [{ apiGroups: [GROUP], resources: ["functions/invoke"], verbs: ["create"] }],
    });
    await this.client.create(Resources.roleBinding, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: meta("invoker"),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "invoker" },
      subjects: [{ kind: "ServiceAccount", name: "caller", namespace }],
    } as KubeObject);
    // The controller's part of enabling an account.
    await this.client.create(Resources.roleBinding, {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: meta("kappa-gateway"),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "kappa-gateway-account" },
      subjects: [{ kind: "ServiceAccount", name: "kappa-gateway", namespace: SYSTEM }],
    } as KubeObject);
    await this.accessKey(namespace, "caller");
    await this.accessKey(namespace, "stranger");
    this.#watchPods(namespace);
  }

  async accessKey(namespace: string, serviceAccount: string): Promise<void> {
    await this.client.create(Resources.secret, {
      apiVersion: "v1",
      kind: "Secret",
      type: ACCESS_KEY_SECRET_TYPE,
      metadata: { name: `key-${serviceAccount}`, namespace },
      stringData: {
        accessKeyId: accessKeyId(namespace, serviceAccount),
        secretAccessKey: SECRET_ACCESS_KEY,
        serviceAccountName: serviceAccount,
      },
    } as KubeObject);
  }

  /** A token as the kubelet projects it into an environment pod. */
  async agentToken(pod: Pod, audience: string = TOKEN_AUDIENCE): Promise<string> {
    const { namespace = "", name, uid } = pod.metadata;
    const { status } = await this.client.post<{ status: { token: string } }>(
      `/api/v1/namespaces/${namespace}/serviceaccounts/${ENVIRONMENT_SERVICE_ACCOUNT}/token`,
      {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { audiences: [audience], expirationSeconds: 3600, boundObjectRef: { apiVersion: "v1", kind: "Pod", name, uid } },
      },
    );
    return status.token;
  }

  /** A token of a ServiceAccount for the API server, as `kubectl create token` makes it. */
  async token(namespace: string, serviceAccount: string): Promise<string> {
    const { status } = await this.client.post<{ status: { token: string } }>(
      `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`,
      { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} },
    );
    return status.token;
  }

  /** AWS's own client. */
  lambda(gateway: GatewayAddress, namespace: string, { as = "caller", secret = SECRET_ACCESS_KEY, maxAttempts = 1 } = {}): LambdaClient {
    const client = new LambdaClient({
      region: REGION,
      endpoint: gateway.url,
      credentials: { accessKeyId: accessKeyId(namespace, as), secretAccessKey: secret },
      maxAttempts,
    });
    this.#clients.push(client);
    return client;
  }

  /** Makes a Function, or changes one, and what its controller would write. */
  async fn(
    namespace: string,
    name: string,
    { files = { "app.py": HANDLER }, handler = "app.handler", over = {}, spec: declared = {}, status = {} }: FunctionSpec = {},
  ): Promise<void> {
    const { bytes, sha256 } = zipOf(files);
    await this.#writer.packages.put(sha256, bytes);
    const spec = { runtime: "python3.11", handler, code: { inline: "unused" }, description: `revision ${Math.random()}`, ...declared };
    const known = await this.client.get<FunctionObject>(Resources.function, { namespace, name });
    const object = known
      ? await this.client.mergePatch<FunctionObject>(Resources.function, { namespace, name }, { spec })
      : await this.client.create<FunctionObject>(Resources.function, {
          apiVersion: API_VERSION,
          kind: "Function",
          metadata: { name, namespace },
          spec,
        } as FunctionObject);
    const effective = { ...effectiveOf(object, bytes.length, sha256, handler), ...over };
    await this.client.mergePatch(
      Resources.function,
      { namespace, name },
      { status: { state: "Active", effective, ...status } },
      { subresource: "status" },
    );
  }

  /** Publishes a version of a function with code of its own, as its controller would. */
  async version(namespace: string, functionName: string, number: number, files: Record<string, TestFile>): Promise<void> {
    const { bytes, sha256 } = zipOf(files);
    await this.#writer.packages.put(sha256, bytes);
    const name = `${functionName}-${number}`;
    const object = await this.client.create<Version>(Resources.version, {
      apiVersion: API_VERSION,
      kind: "Version",
      metadata: { name, namespace },
      spec: {
        functionName,
        version: number,
        code: { package: { sha256, size: bytes.length } },
        runtime: "python3.11",
        handler: "app.handler",
        memorySize: 128,
        timeout: 10,
        ephemeralStorage: { size: 512 },
        role: "default",
        architectures: ["x86_64"],
        loggingConfig: { logFormat: "Text" },
        tracingConfig: { mode: "PassThrough" },
      },
    });
    await this.client.mergePatch(
      Resources.version,
      { namespace, name },
      { status: { state: "Active", effective: effectiveOf(object, bytes.length, sha256, "app.handler") } },
      { subresource: "status" },
    );
  }

  /** Makes an alias, or changes it. */
  async alias(
    namespace: string,
    functionName: string,
    name: string,
    functionVersion: string,
    weights: Record<string, string> = {},
  ): Promise<void> {
    const ref = { namespace, name: `${functionName}-${name.toLowerCase()}` };
    const spec = { functionName, name, functionVersion, routingConfig: { additionalVersionWeights: weights } };
    if (await this.client.get<Alias>(Resources.alias, ref)) await this.client.mergePatch(Resources.alias, ref, { spec });
    else await this.client.create<Alias>(Resources.alias, { apiVersion: API_VERSION, kind: "Alias", metadata: ref, spec });
  }

  /** Environment pods that are there and not being deleted. */
  async pods(namespace: string): Promise<Pod[]> {
    const { items } = await this.client.list<Pod>(Resources.pod, {
      namespace,
      labelSelector: `${Label.component}=${Component.environment}`,
    });
    return items.filter(
      ({ metadata, status }) => metadata.deletionTimestamp === undefined && status?.phase !== "Failed" && status?.phase !== "Succeeded",
    );
  }

  /** Starts the agents of the pods that were held back. */
  startHeldPods(): void {
    for (const pod of this.#held.splice(0)) this.#do(this.#runPod(pod));
  }

  #watchPods(namespace: string): void {
    const pods = new Reflector<Pod>(this.client, { resource: Resources.pod, namespace });
    pods.subscribe(({ type, object }) => {
      if (this.#stopping || type === "delete") return;
      const key = `${namespace}/${object.metadata.name}`;
      const agent = this.agents.get(key);
      if (!this.podsSeen.has(key)) {
        this.podsSeen.add(key);
        if (this.startPods) this.#do(this.#runPod(object));
        else this.#held.push(object);
      } else if (object.metadata.deletionTimestamp !== undefined) {
        // As the kubelet: end the processes, then the object.
        if (agent) void agent.signal("SIGTERM").catch(() => {});
        else this.#do(this.#finalise(object));
      }
    });
    pods.start();
    this.#pods.push(pods);
  }

  #do(work: Promise<unknown>): void {
    const settled = work.catch((error: unknown) => {
      if (!this.#stopping) this.log.push(`kubelet: ${String(error)}`);
    });
    this.#busy.add(settled);
    void settled.finally(() => this.#busy.delete(settled));
  }

  async #finalise({ metadata }: Pod): Promise<void> {
    await this.client.delete(Resources.pod, {
      namespace: metadata.namespace,
      name: metadata.name,
      gracePeriodSeconds: 0,
      uid: metadata.uid,
    });
  }

  async #runPod(pod: Pod): Promise<void> {
    const { namespace = "", name, uid } = pod.metadata;
    const key = `${namespace}/${name}`;
    const token = await this.agentToken(pod);
    const [gateway] = this.#gateways;
    const agent = await startAgent({
      gatewayPort: gateway?.ports.agents ?? 0,
      runtimeRoot: this.#runtimeRoot,
      podName: name,
      token,
      env: { ...settingsOf(pod), POD_NAMESPACE: namespace, KAPPA_WITHOUT_GATEWAY_MS: "60000" },
    });
    this.agents.set(key, agent);
    if (this.#stopping) await agent.stop();
    const code = await agent.exited;
    this.agents.delete(key);
    if (this.#stopping) return;
    if (process.env.KAPPA_TEST_DEBUG) await writeFile(join(tmpdir(), `kappa-agent-${name}.log`), `${agent.stdout}\n${agent.stderr}`);
    await rm(agent.folder, { recursive: true, force: true });
    const now = await this.client.get<Pod>(Resources.pod, { namespace, name });
    if (now?.metadata.uid !== uid) return;
    if (now?.metadata.deletionTimestamp !== undefined) await this.#finalise(pod);
    else
      await this.client.mergePatch(
        Resources.pod,
        { namespace, name },
        { status: { phase: code === 0 ? "Succeeded" : "Failed" } },
        { subresource: "status" },
      );
  }
}

/** A configuration in force, with the defaults of these tests. */
function effectiveOf({ metadata }: FunctionObject | Version, codeSize: number, sha256: string, handler: string): FunctionEffective {
  return {
    revisionId: revisionId({ uid: metadata.uid ?? "", generation: metadata.generation ?? 0, packageSha256: sha256 }),
    codeSha256: Buffer.from(sha256, "hex").toString("base64"),
    codeSize,
    packageSha256: sha256,
    runtime: "python3.11",
    handler,
    memorySize: 128,
    timeout: 10,
    environment: {},
    ephemeralStorageMb: 512,
    architectures: ["x86_64"],
    loggingConfig: { logFormat: "Text", logGroup: "/aws/lambda/tests" },
  };
}

/** Installs the chart's rights and returns a kubeconfig of the gateways' ServiceAccount. */
async function installRights(apiServer: TestApiServer): Promise<string> {
  const run = async (args: string[], input = ""): Promise<string> => {
    const { code, stdout, stderr } = await kubectl(apiServer.kubeconfigPath, args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  const rights = (await renderChart()).filter(({ kind }) => RIGHTS.test(kind));
  await run(["create", "namespace", SYSTEM]);
  await run(["apply", "--server-side", "-f", "-"], rights.map((object) => stringify(object)).join("---\n"));
  return apiServer.kubeconfigFor(await run(["create", "token", "kappa-gateway", "-n", SYSTEM]));
}

/** What a pod tells its agent and the machine of a test does not: where to dial, and whether it waits in a pool. */
function settingsOf({ spec }: Pod): Record<string, string> {
  const { containers: [container] = [] } = (spec ?? {}) as { containers?: { env?: { name: string; value?: string }[] }[] };
  const settings = (container?.env ?? []).flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const]));
  return Object.fromEntries(settings.filter(([name]) => /^KAPPA_(GATEWAY_ADDRESSES|POOL)/.test(name)));
}

/** Kinds of the chart that say what a gateway may do. */
const RIGHTS = /^(ServiceAccount|(Cluster)?Role(Binding)?|ValidatingAdmissionPolicy(Binding)?)$/;

function accessKeyId(namespace: string, serviceAccount: string): string {
  return `AKIA${createHash("sha256").update(`${namespace}/${serviceAccount}`).digest("hex").slice(0, 16).toUpperCase()}`;
}

/** Polls until there is a value. */
export async function until<T>(look: () => Promise<T | undefined>, what: string | (() => string), ms = 30_000): Promise<T> {
  const deadline = Date.now() + ms;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${typeof what === "string" ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
