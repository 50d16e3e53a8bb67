/** Where the bench works: a namespace of its own that is an account, with keys to it, peers in it and nothing left of it afterwards. */
import { randomBytes } from "node:crypto";
import { type Cluster, findCluster } from "../cluster/cluster.ts";
import { waitFor } from "../cluster/run.ts";
import { WORKER } from "../cluster/settings.ts";
import { apply, kubectl, kubectlJson } from "../suites/support/cluster.ts";
import { type Api, withApi } from "./api.ts";
import { benchImage } from "./image.ts";
import { Load } from "./load/client.ts";
import type { Target } from "./load/messages.ts";

export const NAMESPACE = "kappa-bench";
const CALLER = "bench";
/** Everything that answers and the load program are on one node: the way between nodes is not what is measured. */
export const NODE = WORKER;

/** A way for a caller to show who it is. */
export type Credentials = { token: string } | { accessKeyId: string; secretAccessKey: string };

export interface Site {
  cluster: Cluster;
  /** Of the bench's image. */
  image: string;
  load: Load;
  api: Api;
  /** A Kubernetes token of the account's caller. */
  bearer: { token: string };
  /** An access key of the same. */
  key: { accessKeyId: string; secretAccessKey: string };
  region: string;
}

/** Makes the place, gives it to `work` and takes it away again. */
export async function withSite<T>(note: (line: string) => void, work: (site: Site) => Promise<T>): Promise<T> {
  const cluster = await findCluster();
  const image = await benchImage(cluster, note);
  await removeNamespace();
  try {
    const key = await makeAccount();
    await apply(pod("load", image, ["load"], { stdin: true }));
    await kubectl("wait", "--for=condition=Ready", "--timeout=120s", "-n", NAMESPACE, "pod/load");
    const token = (await kubectl("create", "token", CALLER, "-n", NAMESPACE, "--duration=6h")).trim();
    const load = new Load(NAMESPACE, "load");
    try {
      return await withApi((api) => work({ cluster, image, load, api, bearer: { token }, key, region: "us-east-1" }));
    } finally {
      load.close();
    }
  } finally {
    await removeNamespace();
  }
}

async function removeNamespace(): Promise<void> {
  // Functions first: their finalizers need the account.
  await kubectl("delete", "functions", "--all", "-n", NAMESPACE, "--ignore-not-found", "--timeout=180s");
  await kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=180s");
}

async function makeAccount(): Promise<Site["key"]> {
  const key = { accessKeyId: `AKIA${randomText(16)}`, secretAccessKey: randomBytes(30).toString("base64") };
  await apply(
    { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE, labels: { "kappa.dev/enabled": "true" } } },
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: CALLER, namespace: NAMESPACE } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: CALLER, namespace: NAMESPACE },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "kappa-invoker" },
      subjects: [{ kind: "ServiceAccount", name: CALLER, namespace: NAMESPACE }],
    },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { name: CALLER, namespace: NAMESPACE },
      type: "kappa.dev/access-key",
      stringData: { ...key, serviceAccountName: CALLER },
    },
  );
  await waitFor("the namespace becomes an account", 60_000, async () => {
    const { metadata } = await kubectlJson<{ metadata: { annotations?: Record<string, string> } }>("get", "namespace", NAMESPACE);
    return metadata.annotations?.["kappa.dev/account-id"];
  });
  return key;
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const randomText = (length: number): string => [...randomBytes(length)].map((byte) => LETTERS[byte % LETTERS.length]).join("");

/** A pod of the bench's image that runs its program, or another one of the image's. */
export function pod(name: string, image: string, args: readonly string[], more: object = {}, command = PROGRAM): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: NAMESPACE, labels: { app: name } },
    spec: podSpec(name, image, args, more, command),
  };
}

const PROGRAM: readonly string[] = ["/kappa/node", "/bench/program.mjs"];

/** The same for a pod that something else makes. */
export function podSpec(name: string, image: string, args: readonly string[], more: object = {}, command = PROGRAM) {
  return {
    nodeSelector: { "kubernetes.io/hostname": NODE },
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: 2,
    containers: [{ name, image, imagePullPolicy: "Never", command: [...command], args: [...args], ...more }],
  };
}

/** The address of a pod, once it is ready. */
export async function addressOf(name: string): Promise<string> {
  await kubectl("wait", "--for=condition=Ready", "--timeout=120s", "-n", NAMESPACE, `pod/${name}`);
  return (await kubectl("get", "pod", name, "-n", NAMESPACE, "-o", "jsonpath={.status.podIP}")).trim();
}

/** An invocation of a function through a gateway. */
export function invocation(site: Site, gateway: string, functionName: string, credentials: Credentials = site.bearer): Target {
  const request = {
    origin: `http://${gateway}:8080`,
    method: "POST",
    path: `/2015-03-31/functions/${functionName}/invocations`,
    body: "{}",
  };
  const headers = { "content-type": "application/json" };
  if ("token" in credentials) return { ...request, headers: { ...headers, authorization: `Bearer ${credentials.token}` } };
  return { ...request, headers, sign: { region: site.region, ...credentials } };
}

/** Epoch milliseconds with fractions. All parts of the cluster are on this machine and have its clock. */
export const epochMs = (): number => performance.timeOrigin + performance.now();
