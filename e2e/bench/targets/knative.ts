/** Knative Serving on the cluster while the bench measures it, called through its activator: there is no ingress before it. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ClusterError } from "../../cluster/failure.ts";
import { loadArchives } from "../../cluster/load.ts";
import { apply, eventually, kubectl, kubectlJson, must, pods } from "../../suites/support/cluster.ts";
import { goesFirst, type KubernetesObject, knativeObjects } from "../knative/manifests.ts";
import { imageOf, knativeParts } from "../knative/parts.ts";
import type { Target } from "../load/messages.ts";
import { NAMESPACE, NODE, podSpec, type Site } from "../site.ts";

const SYSTEM = "knative-serving";
const OURS = { "kappa.dev/bench": "knative" };
const CONFIGURATIONS = "configurations.serving.knative.dev";
const PORT = 8080;
/** The activator's own, for requests that say which revision they are for. */
const ACTIVATOR_PORT = 8012;

export interface Knative {
  /** A revision with one pod, always. */
  warm: Target;
  /** Revisions that never had a pod. */
  cold: Target[];
}

/** Installs Knative Serving, has bare servers behind it, gives it to `use` and takes all of it away again. */
export async function withKnative<T>(
  site: Site,
  coldRevisions: number,
  note: (line: string) => void,
  use: (knative: Knative) => Promise<T>,
): Promise<T> {
  const { engine, paths, settings } = site.cluster;
  const { archive, manifests } = await knativeParts(settings.cacheDir, note);
  await loadArchives(engine, paths, [archive]);
  const objects = knativeObjects(await textsIn(manifests), imageOf, NODE).map(marked);
  await checkIsFree();
  try {
    await remove(objects); // what an interrupted run left
    await install(objects);
    note("Knative Serving is installed");
    return await use(await revisions(site, coldRevisions));
  } finally {
    await remove(objects);
    note("Knative Serving is removed");
  }
}

async function textsIn(folder: string): Promise<string[]> {
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".yaml")).sort();
  return Promise.all(files.map((name) => readFile(join(folder, name), "utf8")));
}

const marked = (object: KubernetesObject): KubernetesObject =>
  object.kind === "Namespace" ? { ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...OURS } } } : object;

/** Somebody else's Knative is not to be taken away. */
async function checkIsFree(): Promise<void> {
  const { items } = await kubectlJson<{ items: KubernetesObject[] }>("get", "namespaces");
  const found = items.find(({ metadata }) => metadata.name === SYSTEM);
  if (found !== undefined && found.metadata.labels?.["kappa.dev/bench"] !== OURS["kappa.dev/bench"])
    throw new ClusterError(
      `the cluster has a namespace ${SYSTEM} that is not the bench's`,
      "remove that Knative Serving, or run the bench without PEERS=knative",
    );
}

async function install(objects: readonly KubernetesObject[]): Promise<void> {
  const first = objects.filter(goesFirst);
  await apply(...first);
  const definitions = first.filter(({ kind }) => kind === "CustomResourceDefinition").map(({ metadata }) => `crd/${metadata.name}`);
  await kubectl("wait", "--for=condition=Established", "--timeout=60s", ...definitions);
  await apply(...objects.filter((object) => !goesFirst(object)));
  await kubectl("wait", "--for=condition=Available", "--timeout=200s", "-n", SYSTEM, "deployments", "--all");
}

async function revisions({ image }: Site, coldRevisions: number): Promise<Knative> {
  const cold = Array.from({ length: coldRevisions }, (_, i) => `knative-cold-${i}`);
  const objects = [
    configuration("knative-warm", image, { "min-scale": "1", "max-scale": "1" }),
    ...cold.map((name) => configuration(name, image, { "initial-scale": "0" })),
  ];
  // Its webhook is called from the start, and answers a moment after it is ready.
  await eventually("Knative takes configurations", () => apply(...objects));
  await kubectl("wait", "--for=condition=Ready", "--timeout=200s", "-n", NAMESPACE, CONFIGURATIONS, "--all");
  const [activator] = await pods(SYSTEM, "app=activator");
  const origin = `http://${activator?.status.podIP}:${ACTIVATOR_PORT}`;
  return { warm: target(origin, "knative-warm"), cold: cold.map((name) => target(origin, name)) };
}

function configuration(name: string, image: string, scale: Readonly<Record<string, string>>): object {
  const { terminationGracePeriodSeconds: _, ...spec } = podSpec("server", image, ["serve", String(PORT)], {
    ports: [{ containerPort: PORT }],
  });
  const annotations = Object.fromEntries(Object.entries(scale).map(([key, value]) => [`autoscaling.knative.dev/${key}`, value]));
  return {
    apiVersion: "serving.knative.dev/v1",
    kind: "Configuration",
    metadata: { name, namespace: NAMESPACE },
    // How long a request may take, and so how long a pod may take to end.
    spec: { template: { metadata: { annotations }, spec: { ...spec, timeoutSeconds: 10 } } },
  };
}

const target = (origin: string, name: string): Target => ({
  origin,
  method: "POST",
  path: "/",
  headers: {
    "content-type": "application/json",
    "knative-serving-namespace": NAMESPACE,
    "knative-serving-revision": `${name}-00001`,
  },
  body: "{}",
});

/** All that {@link install} and {@link revisions} made. */
async function remove(objects: readonly KubernetesObject[]): Promise<void> {
  // Webhooks first: one that is called and no longer there, or never was, refuses every deletion of what it watches over.
  const isWebhook = ({ kind }: KubernetesObject) => kind.endsWith("WebhookConfiguration");
  await removeObjects(objects.filter(isWebhook));
  const known = await kubectl("get", `crd/${CONFIGURATIONS}`, "--ignore-not-found", "-o", "name");
  // With all that they own: once their kinds are gone, nobody knows whose it was.
  if (known !== "") await kubectl("delete", CONFIGURATIONS, "--all", "-n", NAMESPACE, "--cascade=foreground", "--timeout=200s");
  await removeObjects(objects);
}

async function removeObjects(objects: readonly KubernetesObject[]): Promise<void> {
  const input = objects.map((object) => JSON.stringify(object)).join("\n---\n");
  await must("kubectl", ["delete", "--ignore-not-found", "--timeout=200s", "-f", "-"], { input });
}
