/** The controllers against a real API server and a real NATS, with exactly the rights that the chart and the bootstrap job give them. */
import { createHash, randomUUID } from "node:crypto";
import { strToU8, zipSync } from "fflate";
import { afterAll, beforeAll } from "vitest";
import { stringify } from "yaml";
import { renderChart, NAMESPACE as SYSTEM } from "../../../images/testing/chart.ts";
import { kubectl, startNats, type TestApiServer, useApiServer } from "../../../testing/index.ts";
import type { Condition, Function as LambdaFunction } from "../../api/types.generated.ts";
import { authConf } from "../../bootstrap/auth-conf.ts";
import { connectBus, connectUserBus } from "../../bus/index.ts";
import { createUserKey } from "../../bus/nkeys.ts";
import {
  EventRecorder,
  KubeClient,
  type KubeObject,
  type RequestSample,
  type ResourceRef,
  Resources,
  systemClock,
} from "../../kube/index.ts";
import { createControllerMetrics } from "../../telemetry/controller-metrics.ts";
import { type ControllerConfig, type Controllers, startControllers } from "../index.ts";

/** Generous: the machine may be busy with a build. What is awaited here takes milliseconds on an idle one. */
const PATIENCE_MS = 40_000;

const ENABLED = { "kappa.dev/enabled": "true" };

/** Kinds of the chart that say what the controller may do, and what nobody may. */
const RIGHTS = /^(ServiceAccount|(Cluster)?Role(Binding)?|ValidatingAdmissionPolicy(Binding)?)$/;

const CONFIG: Omit<ControllerConfig, "instance"> = {
  namespace: SYSTEM,
  region: "us-east-1",
  workers: 4,
  images: { "python3.11": "registry.example/python" },
  environment: {
    overcommit: { memory: 0.5, cpu: 0.1 },
    agentAllowance: { memoryMb: 64, cpuMillis: 250 },
    gateway: { host: "gateways.", port: 8081 },
    imagePullPolicy: "Never",
  },
  accountConcurrency: 1000,
  gatewayServiceAccount: "kappa-gateway",
  clusterCidrs: ["10.244.0.0/16", "10.96.0.0/16"],
  urlAllowCidrs: ["127.0.0.0/8"],
  network: { gatewayAgentPort: 8081, gatewayApiPort: 8080, dns: { namespace: "kube-system", podLabels: { "k8s-app": "kube-dns" } } },
};

export type RealCluster = Awaited<ReturnType<typeof startCluster>>;

/** One cluster with running controllers for the tests of a file. Call the result inside of tests and hooks. */
export function useRealCluster(): () => RealCluster {
  const api = useApiServer();
  let cluster: RealCluster | undefined;
  beforeAll(async () => {
    cluster = await startCluster(api());
  });
  afterAll(async () => {
    await cluster?.stop();
  });
  return () => {
    if (cluster === undefined) throw new Error("the cluster runs inside of tests and hooks only");
    return cluster;
  };
}

async function startCluster(api: TestApiServer) {
  const keys = { controller: createUserKey(), gateway: createUserKey(), controllerInUser: createUserKey(), userAdmin: createUserKey() };
  const requests: RequestSample[] = [];
  const nats = await startNats({
    config: authConf({
      controller: keys.controller.publicKey,
      gateway: keys.gateway.publicKey,
      controllerInUser: keys.controllerInUser.publicKey,
      userAdmin: keys.userAdmin.publicKey,
    }),
  });
  const bus = await connectBus({ servers: nats.url, seed: keys.controller.seed, name: "test" });
  const userBus = await connectUserBus({ servers: nats.url, seed: keys.controllerInUser.seed, name: "test" });
  const admin = KubeClient.fromKubeconfig(api.kubeconfig);
  const client = KubeClient.fromKubeconfig(await controllerKubeconfig(api, admin), { onRequest: (sample) => requests.push(sample) });
  const events = new EventRecorder(client, { reportingController: "kappa.dev/controller", reportingInstance: "test" });

  /** Starts one replica more, as a pod of the chart's Deployment would. */
  function startReplica(): Controllers {
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    const metrics = createControllerMetrics();
    return startControllers(
      { client, events, metrics, clock: systemClock, log: silent, packages: bus.packages, userObjects: userBus },
      { ...CONFIG, instance: `controller-${randomUUID()}` },
    );
  }

  let count = 0;
  const cluster = {
    kubeconfigPath: api.kubeconfigPath,
    nats,
    bus,
    admin,
    /** Every request of the controllers. */
    requests,
    /** Seed of whoever may write into every account's buckets. */
    userAdminSeed: keys.userAdmin.seed,
    controllers: startReplica(),
    startReplica,

    /** A namespace that is not used yet. */
    freshName: () => `team-${++count}`,

    /** A namespace of the test's own, enabled. */
    async account(): Promise<string> {
      const name = `team-${++count}`;
      await admin.create(Resources.namespace, namespaceObject(name, ENABLED));
      return name;
    },

    /** Stops the controllers and starts others, which lead when this returns. */
    async restart(): Promise<void> {
      await cluster.controllers.stop();
      cluster.controllers = startReplica();
      await cluster.leading();
    },

    async leading(): Promise<void> {
      await cluster.controllers.synced;
      await eventually(
        async () => cluster.controllers.isLeader,
        (leads) => leads,
      );
    },

    /** Writes by the controllers, leader election apart. */
    writes: () => requests.filter(({ verb, resource }) => !["get", "list", "watch"].includes(verb) && resource !== "leases"),

    /** Waits until nothing was written for a while. */
    async quiet(ms: number): Promise<void> {
      let seen = -1;
      while (seen !== cluster.writes().length) {
        seen = cluster.writes().length;
        await new Promise((resolve) => setTimeout(resolve, ms));
      }
    },

    get:
      <T extends KubeObject>(resource: ResourceRef, namespace: string | undefined, name: string) =>
      () =>
        admin.get<T>(resource, { namespace, name }),

    /** As a user does: server-side apply with a field manager of his. */
    apply: <T extends KubeObject>(resource: ResourceRef, object: T) => admin.apply<T>(resource, object, { fieldManager: "test" }),

    /** Applies a Function and waits until it is in force. */
    async created(fn: LambdaFunction): Promise<LambdaFunction> {
      const { namespace = "", name } = fn.metadata;
      await cluster.apply(Resources.function, fn);
      return present(await eventually(cluster.get<LambdaFunction>(Resources.function, namespace, name), activeWith(1)));
    },

    async stop(): Promise<void> {
      await cluster.controllers.stop();
      await events.stop();
      await Promise.all([bus.close(), userBus.close(), admin.close(), client.close()]);
      await nats.stop();
    },
  };
  await cluster.controllers.synced;
  return cluster;
}

/** Installs the chart's rights and returns a kubeconfig of the controller's ServiceAccount. */
async function controllerKubeconfig(api: TestApiServer, admin: KubeClient): Promise<string> {
  await admin.create(Resources.namespace, namespaceObject(SYSTEM));
  const rights = (await renderChart()).filter(({ kind }) => RIGHTS.test(kind));
  const run = async (args: string[], input = ""): Promise<string> => {
    const { code, stdout, stderr } = await kubectl(api.kubeconfigPath, args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  await run(["apply", "--server-side", "-f", "-"], rights.map((object) => stringify(object)).join("---\n"));
  return api.kubeconfigFor(await run(["create", "token", "kappa-controller", "-n", SYSTEM]));
}

export const namespaceObject = (name: string, labels: Record<string, string> = {}): KubeObject => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels },
});

/** A Function as a user writes it. */
export const functionObject = (
  namespace: string,
  name: string,
  code: LambdaFunction["spec"]["code"],
  special: Partial<LambdaFunction["spec"]> = {},
) =>
  ({
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name, namespace },
    spec: { runtime: "python3.11", handler: "index.handler", code, ...special },
  }) as LambdaFunction;

export const zip = (text: string): Uint8Array => zipSync({ "index.py": strToU8(text) }, { mtime: new Date(1990, 1, 1) });
export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Looks again and again until what is seen holds. */
export async function eventually<T>(look: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await look();
    if (holds(value)) return value;
    if (Date.now() > deadline)
      throw new Error(`not reached within ${PATIENCE_MS} ms; the last value was ${JSON.stringify(value, null, 1)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("nothing there");
  return value;
}

/** The Ready condition of any of Kappa's objects. */
export const ready = (object: KubeObject | undefined): Condition | undefined =>
  (object as (KubeObject & { status?: { conditions?: Condition[] } }) | undefined)?.status?.conditions?.find(
    ({ type }) => type === "Ready",
  );

/** Whether a Function is in force in this generation. */
export const activeWith = (generation: number) => (fn: LambdaFunction | undefined) =>
  fn?.status?.observedGeneration === generation && ready(fn)?.status === "True";
