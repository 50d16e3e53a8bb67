import { mkdir, readdir, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { ClusterError } from "./failure.ts";
import { fileSha256, readIfThere, removeUnused, textSha256, writeWhole } from "./files.ts";
import type { Sink } from "./progress.ts";
import { attempt, CommandError, run } from "./run.ts";

/** The version of Kubernetes that is built; parts/go.mod requires the same. */
export const KUBERNETES_VERSION = "v1.36.3";
const CONTAINERD_VERSION = "v2.2.9";

/** A program built from a Go module; `module` is the folder below parts/ whose go.mod pins it. */
type Part = { readonly name: string; readonly package: string; readonly module: "." | "etcd" };

const kubernetes = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubeadm", "kubectl"];
const containerd = ["containerd", "containerd-shim-runc-v2", "ctr"];

/** In building order: small ones first, so that a wrong tool chain shows at once. etcd 3.6 has a go.mod of its own, since Cilium needs the API of 3.7. */
const PARTS: readonly Part[] = [
  { name: "etcd", package: "go.etcd.io/etcd/server/v3", module: "etcd" },
  { name: "nats-server", package: "github.com/nats-io/nats-server/v2", module: "." },
  { name: "kind", package: "sigs.k8s.io/kind", module: "." },
  ...kubernetes.map((name) => ({ name, package: `k8s.io/kubernetes/cmd/${name}`, module: "." }) as const),
  ...containerd.map((name) => ({ name, package: `github.com/containerd/containerd/v2/cmd/${name}`, module: "." }) as const),
  { name: "helm", package: "helm.sh/helm/v4/cmd/helm", module: "." },
  { name: "cilium-agent", package: "github.com/cilium/cilium/daemon", module: "." },
  { name: "cilium-cni", package: "github.com/cilium/cilium/plugins/cilium-cni", module: "." },
  { name: "coredns", package: "github.com/coredns/coredns", module: "." },
];

const [, major, minor] = /^v(\d+)\.(\d+)/.exec(KUBERNETES_VERSION) ?? [];
/** Kubernetes' programs report "v0.0.0" unless these are set; kubeadm then refuses its own configuration. */
const LINKER_FLAGS = [
  "-s -w",
  `-X k8s.io/component-base/version.gitVersion=${KUBERNETES_VERSION}`,
  `-X k8s.io/component-base/version.gitMajor=${major}`,
  `-X k8s.io/component-base/version.gitMinor=${minor}`,
  `-X k8s.io/client-go/pkg/version.gitVersion=${KUBERNETES_VERSION}`,
  `-X github.com/containerd/containerd/v2/version.Version=${CONTAINERD_VERSION}`,
].join(" ");
const BUILD_FLAGS = ["-trimpath", "-ldflags", LINKER_FLAGS];
const BUILD_ENVIRONMENT = { CGO_ENABLED: "0", GOFLAGS: "-mod=readonly -buildvcs=false" };

const UNFINISHED = ".building-";

const moduleFolder = (part: Part) => join(import.meta.dirname, "parts", part.module);

const Manifest = z.record(z.string(), z.object({ sha256: z.string(), seconds: z.number() }));
type Manifest = z.infer<typeof Manifest>;

/** The built programs: their folder, and the SHA-256 of each as recorded when it was built. */
export type BuiltParts = { readonly bin: string; readonly sha256: Readonly<Record<string, string>> };

/** The folder that `parts/current` leads to, for those who only look for a program. */
export const currentPartsFolder = (cacheDir: string) => join(cacheDir, "parts", "current", "bin");

/**
 * Makes sure that every part is in the cache and is what was built: verified by its recorded SHA-256, and built again where it is missing or
 * damaged. Interrupted and called again, it goes on after the last whole part.
 */
export async function ensureParts(cacheDir: string, note: Sink): Promise<BuiltParts> {
  const key = await partsKey();
  const folder = join(cacheDir, "parts", key);
  const bin = join(folder, "bin");
  await mkdir(bin, { recursive: true });
  for (const name of await readdir(bin)) if (name.startsWith(UNFINISHED)) await rm(join(bin, name), { force: true });
  const manifestPath = join(folder, "manifest.json");
  const manifest: Manifest = await readManifest(manifestPath);
  for (const [index, part] of PARTS.entries()) {
    const recorded = manifest[part.name]?.sha256;
    if (recorded !== undefined) {
      const found = await fileSha256(join(bin, part.name));
      if (found === recorded) continue;
      note(`${part.name} is ${found === undefined ? "missing" : "damaged"}: built again`);
    }
    const start = Date.now();
    const sha256 = await buildPart(part, bin);
    const seconds = Math.round((Date.now() - start) / 1000);
    manifest[part.name] = { sha256, seconds };
    await writeWhole(manifestPath, JSON.stringify(manifest, undefined, 2));
    note(`part ${index + 1}/${PARTS.length} ${part.name} … ${seconds} s`);
  }
  await pointCurrentTo(cacheDir, key);
  return { bin, sha256: Object.fromEntries(PARTS.map((part) => [part.name, manifest[part.name]?.sha256 ?? ""])) };
}

/** The folder of a Go module that parts/go.mod pins, in Go's module cache (downloaded when it is not there). */
export async function moduleSource(module: string): Promise<string> {
  const cwd = join(import.meta.dirname, "parts");
  const env = BUILD_ENVIRONMENT;
  const find = () => run(["go", "list", "-m", "-f", "{{.Dir}}", module], { cwd, env });
  const found = await find();
  if (found) return found;
  await run(["go", "mod", "download", module], { cwd, env });
  return find();
}

/** What the parts are made from, in one word; the cluster that runs them is outdated when it changes. */
export async function partsKey(): Promise<string> {
  const go = await attempt(["go", "env", "GOVERSION"], { env: BUILD_ENVIRONMENT });
  if (go.exitCode !== 0)
    throw new ClusterError(
      `the Go tool chain does not work: ${go.reason} ${go.stderr}`,
      "install the Go that e2e/cluster/parts/go.mod names and put it on PATH",
    );
  const pins = await Promise.all(
    ["go.mod", "go.sum", "etcd/go.mod", "etcd/go.sum"].map(
      async (file) => (await readIfThere(join(import.meta.dirname, "parts", file))) ?? "",
    ),
  );
  return textSha256(
    go.stdout,
    process.arch,
    JSON.stringify([PARTS.map((part) => part.package), BUILD_FLAGS, BUILD_ENVIRONMENT]),
    ...pins,
  ).slice(0, 16);
}

async function buildPart(part: Part, bin: string): Promise<string> {
  // Another name each time: a compiler that outlived an interruption may still write its own.
  const temporary = join(bin, `${UNFINISHED}${part.name}.${process.pid}`);
  const argv = ["go", "build", ...BUILD_FLAGS, "-o", temporary, part.package];
  try {
    await run(argv, { cwd: moduleFolder(part), env: BUILD_ENVIRONMENT, timeoutMs: 40 * 60_000 });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new ClusterError(
      `building ${part.name}: ${error.message}`,
      "check that the Go module proxy answers and that there is room for Go's caches (go env GOCACHE GOMODCACHE), then run it again: built parts are kept",
      { cause: error },
    );
  }
  await rename(temporary, join(bin, part.name));
  const sha256 = await fileSha256(join(bin, part.name));
  if (sha256 === undefined) throw new ClusterError(`${part.name} vanished after it was built`, "run it again, and only once at a time");
  return sha256;
}

async function readManifest(path: string): Promise<Manifest> {
  const text = await readIfThere(path);
  if (text === undefined) return {};
  try {
    return Manifest.parse(JSON.parse(text));
  } catch {
    return {}; // A damaged manifest proves nothing: everything is built again, quickly where Go's own cache has it.
  }
}

async function pointCurrentTo(cacheDir: string, key: string): Promise<void> {
  const link = join(cacheDir, "parts", "current");
  const temporary = `${link}.${process.pid}`;
  await rm(temporary, { force: true });
  await symlink(key, temporary);
  await rename(temporary, link);
  await removeUnused(join(cacheDir, "parts"), [key, "current"]);
}
