/**
 * Puts this checkout's Kappa onto the running cluster: builds what changed, gives the nodes their images, installs or upgrades
 * the chart, and makes the account and the access key that `env` hands out.
 *
 *     node e2e/cluster/install.ts
 *
 * Interrupted anywhere and run again, it goes on.
 */
import { randomBytes, randomInt } from "node:crypto";
import { realpathSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BuiltImage } from "../../scripts/images/builder.ts";
import { buildImages } from "../../scripts/images.ts";
import { type Cluster, findCluster } from "./cluster.ts";
import { ClusterError, describeFailure } from "./failure.ts";
import { GATEWAY_NODE_PORT } from "./kind-config.ts";
import { loadArchives } from "./load.ts";
import { withLock } from "./lock.ts";
import { Progress } from "./progress.ts";
import { CommandError, run, waitFor } from "./run.ts";

const RELEASE = "kappa";
const SYSTEM_NAMESPACE = "kappa-system";
const CHART = fileURLToPath(new URL("../../charts/kappa", import.meta.url));

/** The namespace that is an account from the start, and whose functions `kappa-admin` may invoke. */
const ACCOUNT = "default";
const ADMIN = "kappa-admin";

/** The volumes of this cluster have 5 GiB. */
const NATS_STORAGE = "4Gi";

/** Until everything that helm changed is ready; on two busy cores a first start of all pods takes about a minute. */
const HELM_TIMEOUT_SECONDS = 300;

/** A controller that just started takes over the lead within seconds; these are for a machine that does much else. */
const ANSWER_TIMEOUT_MS = 60_000;

/** Installs Kappa from this checkout. Throws a {@link ClusterError} when there is no cluster, or when something does not become ready. */
export async function installKappa(): Promise<void> {
  const cluster = await findCluster();
  await mkdir(cluster.paths.logs, { recursive: true });
  await withLock(cluster.paths.stateDir, () => install(cluster));
}

async function install(cluster: Cluster): Promise<void> {
  const progress = new Progress(5);
  let images: BuiltImage[] = [];
  await progress.step("Kappa's images", async (note) => {
    images = await buildImages(cluster.settings, note);
    const built = images.filter((image) => image.built).map((image) => image.name);
    return built.length === 0 ? "nothing changed" : `built ${built.join(", ")}`;
  });
  await progress.step("images onto the nodes", async () => {
    const done = await loadArchives(
      cluster.engine,
      cluster.paths,
      images.map((image) => image.archive),
    );
    const loaded = done.filter((line) => line.includes("loaded into")).length;
    return loaded === 0 ? "they have them" : `${loaded} loaded`;
  });
  await progress.step("chart", () => upgradeRelease(cluster, images));
  await progress.step(`account ${ACCOUNT} and access key`, () => makeAccount(cluster));
  await progress.step("gateway answers", () => gatewayAnswers(cluster));
}

async function upgradeRelease(cluster: Cluster, images: readonly BuiltImage[]): Promise<string> {
  const { kubectl, paths } = cluster;
  const restricted = { "pod-security.kubernetes.io/enforce": "restricted" };
  await kubectl.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: SYSTEM_NAMESPACE, labels: restricted } }]);
  // Left by a run that was interrupted: helm would refuse to work until somebody has looked at it.
  const pending = "owner=helm,name=kappa,status in (pending-install,pending-upgrade,pending-rollback)";
  await kubectl("delete", "secret", `--namespace=${SYSTEM_NAMESPACE}`, `--selector=${pending}`);
  const values = chartValues(images);
  const wait = ["--wait", `--timeout=${HELM_TIMEOUT_SECONDS}s`];
  const argv = [join(paths.bin, "helm"), "upgrade", "--install", RELEASE, CHART, `--namespace=${SYSTEM_NAMESPACE}`, ...wait, "--values=-"];
  try {
    await run(argv, {
      input: JSON.stringify(values),
      env: { KUBECONFIG: paths.kubeconfig },
      timeoutMs: (HELM_TIMEOUT_SECONDS + 60) * 1000,
      logFile: join(paths.logs, "helm.log"),
    });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new ClusterError(
      `the chart could not be installed: ${error.message}\n${await whatIsNotReady(cluster)}`,
      "correct what the lines above say and run `make up` again",
      {
        cause: error,
      },
    );
  }
  return "controller, gateways and NATS are ready";
}

/** Values for this cluster: the images just built, which no registry has, and a gateway on the node port that leads to the host. */
function chartValues(images: readonly BuiltImage[]): object {
  const [operator, nats] = ["operator", "nats"].map((name) => splitReference(images.find((image) => image.name === name)?.reference ?? ""));
  const runtimes = images
    .filter(({ name }) => name.startsWith("runtime/"))
    .map(({ name, reference }) => [name.slice("runtime/".length), reference]);
  return {
    images: { operator, nats, runtimes: Object.fromEntries(runtimes), pullPolicy: "Never" },
    // On the node that the host's port leads to, so that the loss of the other one is not seen from the host.
    gateway: { service: { type: "NodePort", nodePort: GATEWAY_NODE_PORT, trafficDistribution: "PreferSameNode" } },
    nats: { storage: { size: NATS_STORAGE } },
  };
}

function splitReference(reference: string): { repository: string; tag: string } {
  const colon = reference.lastIndexOf(":");
  return { repository: reference.slice(0, colon), tag: reference.slice(colon + 1) };
}

/** Text about the pods that keep an installation from succeeding: their state, and the end of what they said. */
async function whatIsNotReady({ kubectl }: Cluster): Promise<string> {
  const pods = await kubectl.attempt(["get", "pods", `--namespace=${SYSTEM_NAMESPACE}`, "--output=wide"]);
  const names = await kubectl.attempt([
    "get",
    "pods",
    `--namespace=${SYSTEM_NAMESPACE}`,
    '--output=jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}',
  ]);
  const unready = names.stdout
    .split("\n")
    .filter((line) => line.endsWith(" False"))
    .map((line) => line.split(" ")[0] ?? "");
  const parts = [pods.stdout];
  for (const name of unready) {
    const events = await kubectl.attempt([
      "get",
      "events",
      `--namespace=${SYSTEM_NAMESPACE}`,
      `--field-selector=involvedObject.name=${name},type=Warning`,
    ]);
    const log = await kubectl.attempt(["logs", `--namespace=${SYSTEM_NAMESPACE}`, "--tail=10", "--all-containers", name]);
    parts.push(`--- ${name}`, events.stdout, log.stdout || log.stderr);
  }
  return parts.join("\n").trimEnd();
}

async function makeAccount({ kubectl }: Cluster): Promise<string> {
  await kubectl("label", "namespace", ACCOUNT, "kappa.dev/enabled=true", "--overwrite");
  await kubectl.apply([
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: ADMIN, namespace: ACCOUNT }, automountServiceAccountToken: false },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: ADMIN, namespace: ACCOUNT },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "kappa-invoker" },
      subjects: [{ kind: "ServiceAccount", name: ADMIN, namespace: ACCOUNT }],
    },
  ]);
  const existing = await kubectl("get", "secret", ADMIN, `--namespace=${ACCOUNT}`, "--ignore-not-found", "--output=name");
  if (existing !== "") return "the key is kept";
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: ADMIN, namespace: ACCOUNT },
    type: "kappa.dev/access-key",
    stringData: { ...newAccessKey(), serviceAccountName: ADMIN },
  };
  await kubectl.apply([secret]);
  return "a new key";
}

/** A key in the shape of AWS's: tools check it. */
function newAccessKey(): { accessKeyId: string; secretAccessKey: string } {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const accessKeyId = `AKIA${Array.from({ length: 16 }, () => letters[randomInt(letters.length)]).join("")}`;
  return { accessKeyId, secretAccessKey: randomBytes(30).toString("base64") };
}

/** The account has its id and the gateway answers on the host's port: what `env` prints works from now on. */
async function gatewayAnswers({ kubectl, settings }: Cluster): Promise<string> {
  const url = `http://127.0.0.1:${settings.ports.gateway}/`;
  const orTell = <T>(component: string, waited: Promise<T>): Promise<T> =>
    waited.catch(async (cause: Error) => {
      const selector = `--selector=kappa.dev/component=${component}`;
      const { stdout } = await kubectl.attempt(["logs", `--namespace=${SYSTEM_NAMESPACE}`, selector, "--tail=5", "--prefix"]);
      throw new ClusterError(`${cause.message}\n${stdout.trimEnd()}`, `look at what the ${component} says above`, { cause });
    });
  const accountId = await orTell(
    "controller",
    waitFor(`the controller gives namespace ${ACCOUNT} its account id`, ANSWER_TIMEOUT_MS, async () => {
      const path = "--output=jsonpath={.metadata.annotations.kappa\\.dev/account-id}";
      return (await kubectl("get", "namespace", ACCOUNT, path)) || undefined;
    }),
  );
  await orTell(
    "gateway",
    waitFor(`an answer from ${url}`, ANSWER_TIMEOUT_MS, async () => {
      const response = await fetch(url, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
      await response?.body?.cancel();
      return response?.status;
    }),
  );
  return `${url}, account ${accountId}`;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await installKappa();
  } catch (error) {
    process.stderr.write(`${describeFailure(error)}\n`);
    process.exitCode = 1;
  }
}
