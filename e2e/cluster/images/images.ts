import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { fileSha256, readIfThere, removeUnused, textSha256, writeWhole } from "../files.ts";
import { STORAGE_CLASS } from "../manifests/storage.ts";
import { type BuiltParts, KUBERNETES_VERSION, moduleSource, partsKey } from "../parts.ts";
import type { Sink } from "../progress.ts";
import { run } from "../run.ts";
import { type Image, writeImageArchive } from "./archive.ts";
import { ensureDebianSystem } from "./debian.ts";
import { type LayerEntry, writeLayer } from "./layer.ts";
import { containerdConfiguration, containerdDropIn, criBaseSpec, NETWORK_SYSTEM, NODE_SYSTEM, sandboxImage } from "./recipes.ts";

/** The archives that a cluster is made from when no registry has its images. */
export type ClusterImages = {
  readonly key: string;
  /** The node image's name after `podman load`. */
  readonly nodeImage: string;
  /** docker-archive of the node image. */
  readonly node: string;
  /** docker-archive of the control plane's images. */
  readonly controlPlane: string;
  /** docker-archive of what every node runs: sandbox, kube-proxy, CoreDNS, Cilium. */
  readonly everyNode: string;
};

/** Name of the Cilium image in {@link ClusterImages.everyNode}. */
export const CILIUM_IMAGE = "localhost/kappa/cilium:built";

const ARCHIVES = ["node", "control-plane", "every-node"] as const;
const Manifest = z.object({ node: z.string(), "control-plane": z.string(), "every-node": z.string() });

const read = (...path: string[]) => readFile(join(import.meta.dirname, ...path), "utf8");

/** What the images are made from, in one word. */
export async function imagesKey(): Promise<string> {
  // The recipes are code: any change of it may change an image.
  const sources = [
    "archive.ts",
    "debian.ts",
    "images.ts",
    "layer.ts",
    "recipes.ts",
    "node-files/import-images.sh",
    "cilium-files/start.sh",
  ];
  return textSha256(
    await partsKey(),
    String(await openFilesLimit()),
    JSON.stringify(STORAGE_CLASS),
    ...(await Promise.all(sources.map((file) => read(file)))),
  ).slice(0, 16);
}

/** Makes sure that the images are in the cache and are what was built. */
export async function ensureImages(parts: BuiltParts, cacheDir: string, logFile: string, note: Sink): Promise<ClusterImages> {
  const key = await imagesKey();
  const folder = join(cacheDir, "cluster-images", key);
  const path = (name: (typeof ARCHIVES)[number]) => join(folder, `${name}.tar`);
  const images: ClusterImages = {
    key,
    nodeImage: `localhost/kappa/node:${key}`,
    node: path("node"),
    controlPlane: path("control-plane"),
    everyNode: path("every-node"),
  };
  if (await areWhole(folder)) return images;

  await rm(folder, { recursive: true, force: true });
  const work = join(cacheDir, "cluster-images", ".work");
  await rm(work, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await mkdir(work, { recursive: true });
  const build = new Build(parts, work);
  const kindFiles = join(await moduleSource("sigs.k8s.io/kind"), "images", "base", "files");
  const containerdToml = await readFile(join(kindFiles, "etc", "containerd", "config.toml"), "utf8");
  const nodeSystem = await ensureDebianSystem(NODE_SYSTEM, cacheDir, logFile, note);
  await writeImageArchive(images.node, [await build.node(nodeSystem, images.nodeImage, kindFiles, containerdToml)], work);
  note("node image … written");
  const networkSystem = await ensureDebianSystem(NETWORK_SYSTEM, cacheDir, logFile, note);
  const names = await kubeadmImageNames(parts);
  await writeImageArchive(images.everyNode, await build.everyNode(networkSystem, names, sandboxImage(containerdToml)), work);
  await writeImageArchive(images.controlPlane, await build.controlPlane(names), work);
  note("images of the control plane and of every node … written");
  await rm(work, { recursive: true, force: true });
  const sums = await Promise.all(ARCHIVES.map(async (name) => [name, await fileSha256(path(name))] as const));
  await writeWhole(join(folder, "manifest.json"), JSON.stringify(Object.fromEntries(sums)));
  await removeUnused(join(cacheDir, "cluster-images"), [key]);
  return images;
}

async function areWhole(folder: string): Promise<boolean> {
  const text = await readIfThere(join(folder, "manifest.json"));
  if (text === undefined) return false;
  const manifest = Manifest.safeParse(JSON.parse(text));
  if (!manifest.success) return false;
  const found = await Promise.all(ARCHIVES.map((name) => fileSha256(join(folder, `${name}.tar`))));
  return ARCHIVES.every((name, index) => manifest.data[name] === found[index]);
}

/** The images that kubeadm expects, by the last part of their name without the tag. */
async function kubeadmImageNames(parts: BuiltParts): Promise<(component: string) => string> {
  const list = (await run([join(parts.bin, "kubeadm"), "config", "images", "list", "--kubernetes-version", KUBERNETES_VERSION])).split(
    "\n",
  );
  return (component) => {
    const name = list.find((image) => image.includes(`/${component}:`));
    if (name === undefined) throw new Error(`kubeadm lists no image for ${component}: ${list.join(" ")}`);
    return name;
  };
}

/** The hard limit of open files; nodes can have no more where the right to raise it is missing. */
async function openFilesLimit(): Promise<number> {
  const limit = await run(["sh", "-c", "ulimit -Hn"]);
  return limit === "unlimited" ? 1_048_576 : Math.min(Number(limit), 1_048_576);
}

class Build {
  readonly #parts: BuiltParts;
  readonly #work: string;

  constructor(parts: BuiltParts, work: string) {
    this.#parts = parts;
    this.#work = work;
  }

  async #layer(name: string, entries: readonly LayerEntry[]): Promise<string> {
    const file = join(this.#work, `${name}.layer.tar`);
    await writeLayer(file, entries, this.#work);
    return file;
  }

  #part(name: string, path = `/usr/local/bin/${name}`): LayerEntry {
    return { path, from: join(this.#parts.bin, name), mode: 0o755 };
  }

  async node(system: string, name: string, kindFiles: string, containerdToml: string): Promise<Image> {
    const programs = ["kubeadm", "kubelet", "kubectl", "containerd", "containerd-shim-runc-v2", "ctr"];
    const executable = [
      "/usr/local/bin/entrypoint",
      "/kind/bin/create-kubelet-cgroup-v2.sh",
      "/kind/bin/mount-product-files.sh",
      "/kind/bin/undo-mount-hacks.sh",
    ];
    const units = "/etc/systemd/system";
    const layer = await this.#layer("node", [
      { path: "/", from: kindFiles },
      ...executable.map((path) => ({ path, from: join(kindFiles, path), mode: 0o755 })),
      ...programs.map((program) => this.#part(program)),
      // kubelet.service and kind itself look into /usr/bin.
      ...programs.map((program) => ({ path: `/usr/bin/${program}`, link: `/usr/local/bin/${program}` })),
      { path: "/etc/containerd/config.toml", text: containerdConfiguration(containerdToml) },
      { path: "/etc/containerd/cri-base.json", text: criBaseSpec(await run([join(this.#parts.bin, "ctr"), "oci", "spec"])) },
      { path: `${units}/containerd.service.d/10-kappa.conf`, text: containerdDropIn(await openFilesLimit()) },
      ...["kubelet", "containerd", "undo-mount-hacks"].map((unit) => ({
        path: `${units}/multi-user.target.wants/${unit}.service`,
        link: `${units}/${unit}.service`,
      })),
      { path: `${units}/systemd-binfmt.service`, link: "/dev/null" },
      { path: "/kappa/bin/import-images", text: await read("node-files", "import-images.sh"), mode: 0o755 },
      { path: "/kind/version", text: KUBERNETES_VERSION },
      { path: "/kind/manifests/default-storage.yaml", text: JSON.stringify(STORAGE_CLASS) },
      { path: "/etc/kubernetes/manifests", folder: true },
    ]);
    const config = { Entrypoint: ["/usr/local/bin/entrypoint", "/sbin/init"], Env: ["container=podman"], StopSignal: "SIGRTMIN+3" };
    return { names: [name], layers: [system, layer], config };
  }

  async everyNode(networkSystem: string, nameOf: (component: string) => string, sandbox: string): Promise<Image[]> {
    const cilium = await moduleSource("github.com/cilium/cilium");
    const pause = await this.#layer("pause", [{ path: "/pause", from: "/usr/bin/catatonit", mode: 0o755 }]);
    const coredns = await this.#layer("coredns", [this.#part("coredns", "/coredns")]);
    const proxy = await this.#layer("kube-proxy", [this.#part("kube-proxy")]);
    const agent = await this.#layer("cilium", [
      this.#part("cilium-agent"),
      this.#part("cilium-cni"),
      { path: "/var/lib/cilium/bpf", from: join(cilium, "bpf") },
      { path: "/usr/local/bin/start-cilium", text: await read("cilium-files", "start.sh"), mode: 0o755 },
    ]);
    return [
      { names: [...new Set([sandbox, nameOf("pause")])], layers: [pause], config: { Entrypoint: ["/pause", "-P"] } },
      { names: [nameOf("coredns")], layers: [coredns], config: { Entrypoint: ["/coredns"] } },
      { names: [nameOf("kube-proxy")], layers: [networkSystem, proxy], config: {} },
      { names: [CILIUM_IMAGE], layers: [networkSystem, agent], config: { Entrypoint: ["/usr/local/bin/start-cilium"] } },
    ];
  }

  controlPlane(nameOf: (component: string) => string): Promise<Image[]> {
    const programs = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"];
    return Promise.all(
      programs.map(async (program) => ({
        names: [nameOf(program)],
        layers: [await this.#layer(program, [this.#part(program)])],
        config: { Env: ["PATH=/usr/local/bin"], Entrypoint: [program] },
      })),
    );
  }
}
