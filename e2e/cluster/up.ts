import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { startCapsule } from "./capsule.ts";
import type { Engine } from "./engine.ts";
import { chooseEngine, engineOf } from "./engines.ts";
import { textSha256 } from "./files.ts";
import { whatIsBroken } from "./health.ts";
import { CILIUM_IMAGE, type ClusterImages, ensureImages, imagesKey } from "./images/images.ts";
import { startInternet } from "./internet/internet.ts";
import { configurationFor, createKindCluster } from "./kind.ts";
import { kubectlOf } from "./kubectl.ts";
import { withLock } from "./lock.ts";
import { ciliumObjects } from "./manifests/cilium.ts";
import { corefileWithLocalInternet, DNS_SPREADING } from "./manifests/dns.ts";
import { storageFolders, storageObjects } from "./manifests/storage.ts";
import { type BuiltParts, ensureParts, moduleSource, partsKey } from "./parts.ts";
import type { Paths } from "./paths.ts";
import { writePodmanConfig } from "./podman/config.ts";
import { Progress } from "./progress.ts";
import { startRelay } from "./relay.ts";
import { MODULES_FOLDER, removeCluster } from "./remove.ts";
import { checkPortsFree, checkRequirements, raiseKernelLimits } from "./requirements.ts";
import { waitFor } from "./run.ts";
import { CONTROL_PLANE, type EngineName, NODES, type Settings } from "./settings.ts";
import { currentBoot, readState, type State, writeState } from "./state.ts";

/** What {@link withLock} says of the cache folder. */
export const CACHE = "the cache of parts and images";

/** Makes the cluster, or finds that it is there. Interrupted anywhere and called again, it goes on; a broken cluster is replaced. */
export async function up(settings: Settings, paths: Paths): Promise<void> {
  await mkdir(paths.logs, { recursive: true });
  const recorded = await readState(paths.stateDir);
  const engineName = await chooseEngine(settings, recorded?.complete ? recorded.engine : undefined);
  const work = new Up(settings, paths, engineName);
  const progress = new Progress(engineName === "podman" ? 11 : 9);
  await progress.step("requirements", (note) =>
    checkRequirements(engineName, [paths.cacheDir, paths.stateDir], join(paths.logs, "packages.log"), note),
  );
  let there = false;
  await progress.step("cluster that is there", async () => {
    const key = await clusterKey(settings, paths, engineName);
    const broken = recorded && (await whatIsBroken(recorded, await currentBoot(), key, () => engineOf(recorded, paths), paths));
    there = recorded !== undefined && broken === undefined;
    if (there) return "it runs and is whole";
    await removeCluster(paths); // whatever an unrecorded or interrupted one left, too
    await rm(paths.logs, { recursive: true, force: true });
    await mkdir(paths.logs, { recursive: true });
    await checkPortsFree(settings.ports);
    return broken ? `replaced: ${broken}` : "none";
  });
  if (there) return;
  await progress.step("parts from Go modules", async (note) => {
    work.parts = await withLock(paths.cacheDir, () => ensureParts(paths.cacheDir, note), CACHE);
  });
  if (engineName === "podman") {
    await progress.step("images", async (note) => {
      const logFile = join(paths.logs, "images.log");
      work.images = await withLock(paths.cacheDir, () => ensureImages(work.builtParts(), paths.cacheDir, logFile, note), CACHE);
    });
  }
  await progress.step("namespaces", () => work.namespaces());
  await progress.step("local internet", () => startInternet(work.engine(), paths.internet, paths.bin, paths.logs));
  if (engineName === "podman") await progress.step("node image into podman", () => work.loadNodeImage());
  await progress.step("nodes and control plane", () => work.nodes());
  await progress.step("host ports", () => work.hostPorts());
  await progress.step("pod network, DNS, storage", () => work.clusterServices());
  await progress.step("ready", () => work.ready());
}

/** What a cluster is made from, in one word: with another one it has to be made again. */
async function clusterKey(settings: Settings, paths: Paths, engine: EngineName): Promise<string> {
  const images = engine === "podman" ? await imagesKey() : await partsKey();
  const placeholder = { nodeImage: images, controlPlane: "control-plane", everyNode: "every-node" };
  const configuration = configurationFor(settings, paths, engine === "podman" ? placeholder : undefined);
  const around = [
    "capsule-init.sh",
    "podman/config.ts",
    "podman/oci-runtime.sh",
    "internet/addresses.ts",
    "internet/internet.ts",
    "internet/server.ts",
  ];
  const sources = await Promise.all(around.map((file) => readFile(join(import.meta.dirname, file), "utf8")));
  return textSha256(engine, images, configuration, JSON.stringify([ciliumObjects(CILIUM_IMAGE), storageObjects()]), ...sources).slice(
    0,
    16,
  );
}

class Up {
  readonly #settings: Settings;
  readonly #paths: Paths;
  readonly #engineName: EngineName;
  #state: State | undefined;
  parts: BuiltParts | undefined;
  images: ClusterImages | undefined;

  constructor(settings: Settings, paths: Paths, engineName: EngineName) {
    this.#settings = settings;
    this.#paths = paths;
    this.#engineName = engineName;
  }

  builtParts(): BuiltParts {
    return required(this.parts, "the parts are built");
  }

  engine(): Engine {
    return engineOf(required(this.#state, "the namespaces are there"), this.#paths);
  }

  async #record(change: Partial<State>): Promise<void> {
    this.#state = { ...required(this.#state, "there is a state"), ...change };
    await writeState(this.#paths.stateDir, this.#state);
  }

  async namespaces(): Promise<void> {
    const key = await clusterKey(this.#settings, this.#paths, this.#engineName);
    const { ports } = this.#settings;
    this.#state = {
      bootId: await currentBoot(),
      engine: this.#engineName,
      key,
      ports,
      processes: [],
      sysctls: {},
      madeModulesFolder: false,
      complete: false,
    };
    await this.#record({ sysctls: await raiseKernelLimits(), madeModulesFolder: await makeModulesFolder() });
    if (this.#engineName === "podman") {
      await this.#record({ capsule: await startCapsule(this.#paths) });
      await writePodmanConfig(this.#paths.podman);
    }
  }

  async loadNodeImage(): Promise<void> {
    const { node } = required(this.images, "the images are there");
    await this.engine().containers(["load", "--quiet", "--input", node], { logFile: join(this.#paths.logs, "podman.log") });
  }

  async nodes(): Promise<void> {
    await createKindCluster(this.engine(), this.#paths, configurationFor(this.#settings, this.#paths, this.images));
  }

  async hostPorts(): Promise<string> {
    const { ports } = this.#settings;
    if (!this.engine().publishesOnHost) {
      for (const port of Object.values(ports)) {
        const relay = await startRelay(this.engine(), port, this.#paths);
        await this.#record({ processes: [...(this.#state?.processes ?? []), relay] });
      }
    }
    const kubectl = kubectlOf(this.#paths);
    await waitFor("the API server on the host's loopback", 60_000, async () =>
      (await kubectl.attempt(["get", "--raw", "/readyz"])).exitCode === 0 ? true : undefined,
    );
    return `API server ${ports.api}, gateway ${ports.gateway}`;
  }

  async clusterServices(): Promise<void> {
    const kubectl = kubectlOf(this.#paths);
    if (this.images) {
      const crds = join(await moduleSource("github.com/cilium/cilium"), "pkg", "k8s", "apis", "cilium.io", "client", "crds");
      await kubectl("apply", "--server-side", "--recursive", "--filename", crds);
      await kubectl.apply(ciliumObjects(CILIUM_IMAGE));
      await this.engine().containers(["exec", CONTROL_PLANE, "mkdir", "-p", ...storageFolders]);
      await kubectl.apply(storageObjects());
    }
    const coredns: { data: { Corefile: string } } = JSON.parse(
      await kubectl("get", "configmap", "coredns", "--namespace=kube-system", "--output=json"),
    );
    const Corefile = corefileWithLocalInternet(coredns.data.Corefile);
    await kubectl(
      "patch",
      "configmap",
      "coredns",
      "--namespace=kube-system",
      "--type=merge",
      "--patch",
      JSON.stringify({ data: { Corefile } }),
    );
    // A change of the pods also makes them read the new Corefile.
    await kubectl(
      "patch",
      "deployment",
      "coredns",
      "--namespace=kube-system",
      "--patch",
      JSON.stringify({
        spec: { template: { metadata: { annotations: { "kappa.dev/corefile": textSha256(Corefile) } }, spec: DNS_SPREADING } },
      }),
    );
  }

  async ready(): Promise<void> {
    const kubectl = kubectlOf(this.#paths);
    await kubectl("wait", "--for=condition=Ready", "--timeout=300s", ...NODES.map((node) => `node/${node}`));
    await kubectl("rollout", "status", "deployment/coredns", "--namespace=kube-system", "--timeout=300s");
    await kubectl("wait", "--for=create", "--timeout=30s", "serviceaccount/default", "--namespace=default");
    await this.#record({ complete: true });
  }
}

function required<T>(value: T | undefined, when: string): T {
  if (value === undefined) throw new Error(`a step ran before ${when}`);
  return value;
}

/** Nodes mount the machine's kernel modules; a machine without any gets an empty folder. Tells whether it had none. */
async function makeModulesFolder(): Promise<boolean> {
  return (await mkdir(MODULES_FOLDER, { recursive: true })) !== undefined;
}
