import { mkdir, readFile, statfs, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { totalmem } from "node:os";
import { join } from "node:path";
import { hierarchies } from "./cgroups.ts";
import { ClusterError } from "./failure.ts";
import { readIfThere } from "./files.ts";
import type { Sink } from "./progress.ts";
import { attempt, run } from "./run.ts";
import type { EngineName, Ports } from "./settings.ts";

/** What was found out about the machine. */
export type Facts = {
  readonly userId: number;
  readonly platform: string;
  readonly arch: string;
  /** ID and ID_LIKE of os-release(5). */
  readonly system: readonly string[];
  readonly memoryBytes: number;
  readonly freeBytes: Readonly<Record<string, number>>;
  /** Of `go version`; undefined where there is none. */
  readonly goVersion: string | undefined;
  /** The `go` line of parts/go.mod. */
  readonly goNeeded: string;
  readonly fileSystems: readonly string[];
  readonly controllers: readonly string[];
  readonly namespaces: boolean;
  /** Debian packages that are needed and not installed. */
  readonly missingPackages: readonly string[];
  readonly aptGet: boolean;
};

/** Something that is missing and what to do about it. */
export type Problem = { readonly what: string; readonly remedy: string };

const GIB = 2 ** 30;
const NEEDED_MEMORY = 6 * GIB;
/** Cold: Go's module and build caches 12 GiB, parts 1, images 3; running: nodes 5. */
const NEEDED_DISK = 20 * GIB;
const NEEDED_CONTROLLERS = ["cpu", "cpuset", "memory", "pids"];

const PACKAGES: Readonly<Record<EngineName, readonly string[]>> = {
  podman: [
    ...["podman", "runc", "conmon", "netavark", "aardvark-dns", "catatonit", "mmdebstrap", "jq", "socat", "curl"],
    ...["iproute2", "iptables", "nftables", "procps", "util-linux", "ca-certificates", "debian-archive-keyring"],
  ],
  docker: ["iproute2", "curl", "util-linux"],
};

/** What stands in the way, each with its remedy; pure. Missing packages are no problem where apt-get can install them. */
export function problemsOf(facts: Facts, engine: EngineName): Problem[] {
  const problems: Problem[] = [];
  const problem = (what: string, remedy: string) => problems.push({ what, remedy });
  if (facts.platform !== "linux")
    problem(`the system is ${facts.platform}`, "use Linux: a Debian machine, virtual machine or container with root rights");
  if (facts.arch !== "x64" && facts.arch !== "arm64")
    problem(`the processor is ${facts.arch}`, "use a machine with an x86-64 or arm64 processor");
  if (facts.userId !== 0) problem("you are not root", "run it as root (sudo -E make up): namespaces and containers of the cluster need it");
  if (engine === "podman" && !facts.system.includes("debian")) {
    problem(
      `the system is "${facts.system.join(" ")}", not Debian or made from it`,
      "use Debian 12 or later, or start a Docker daemon and set KAPPA_ENGINE=docker",
    );
  }
  if (facts.memoryBytes < NEEDED_MEMORY)
    problem(`the machine has ${gib(facts.memoryBytes)} of memory`, `give it at least ${gib(NEEDED_MEMORY)}`);
  for (const [folder, free] of Object.entries(facts.freeBytes)) {
    if (free < NEEDED_DISK) {
      problem(
        `${folder} has ${gib(free)} free, ${gib(NEEDED_DISK)} are needed`,
        "free some space, or set XDG_CACHE_HOME and XDG_STATE_HOME to folders of a larger disk",
      );
    }
  }
  if (facts.goVersion === undefined) {
    problem("there is no Go tool chain (go) on PATH", `install Go ${facts.goNeeded} or later and put it on PATH`);
  } else if (olderThan(facts.goVersion, facts.goNeeded)) {
    problem(`Go is ${facts.goVersion}, older than ${facts.goNeeded}`, `install Go ${facts.goNeeded} or later and put it first on PATH`);
  }
  if (engine === "podman") {
    if (!facts.fileSystems.includes("overlay"))
      problem("the kernel has no overlayfs", "load it (modprobe overlay), or use a kernel that has it");
    const missing = NEEDED_CONTROLLERS.filter((controller) => !facts.controllers.includes(controller));
    if (missing.length > 0)
      problem(
        `cgroup controllers are missing: ${missing.join(" ")}`,
        "mount the cgroup file systems, or run outside a container that hides them",
      );
    if (!facts.namespaces)
      problem("new namespaces are refused", "run with CAP_SYS_ADMIN: as root of the machine, or in a privileged container");
  }
  if (facts.missingPackages.length > 0 && !facts.aptGet) {
    problem(`not installed: ${facts.missingPackages.join(" ")}`, "install these packages with your system's package manager");
  }
  return problems;
}

const gib = (bytes: number) => `${(bytes / GIB).toFixed(1)} GiB`;

/** Whether version `a` comes before `b`; both are numbers with dots. */
export function olderThan(a: string, b: string): boolean {
  const [left, right] = [a, b].map((version) => version.split(".").map((part) => Number.parseInt(part, 10) || 0));
  for (let index = 0; index < Math.max(left?.length ?? 0, right?.length ?? 0); index++) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** Finds out everything in {@link Facts}. */
async function gatherFacts(engine: EngineName, folders: readonly string[]): Promise<Facts> {
  const osRelease = (await readIfThere("/etc/os-release")) ?? "";
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(osRelease)?.[1]?.split(" ") ?? [];
  const free: Record<string, number> = {};
  for (const folder of folders) {
    await mkdir(folder, { recursive: true });
    const { bavail, bsize } = await statfs(folder);
    free[folder] = bavail * bsize;
  }
  const go = await attempt(["go", "env", "GOVERSION"]);
  const goMod = await readFile(join(import.meta.dirname, "parts", "go.mod"), "utf8");
  const packages = PACKAGES[engine];
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const installed = await attempt(["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", ...packages]);
  const there = new Set(installed.stdout.split("\n").flatMap((line) => (line.endsWith(" installed") ? [line.split(" ")[0]] : [])));
  const withDpkg = installed.exitCode !== 127;
  return {
    userId: process.getuid?.() ?? -1,
    platform: process.platform,
    arch: process.arch,
    system: [...field("ID"), ...field("ID_LIKE")],
    memoryBytes: totalmem(),
    freeBytes: free,
    goVersion: go.exitCode === 0 ? go.stdout.trim().replace(/^go/, "") : undefined,
    goNeeded: /^go (\S+)$/m.exec(goMod)?.[1] ?? "1.26",
    fileSystems: ((await readIfThere("/proc/filesystems")) ?? "").split("\n").map((line) => line.replace(/^nodev/, "").trim()),
    controllers: await availableControllers(),
    namespaces: (await attempt(["unshare", "--mount", "--pid", "--net", "--cgroup", "--fork", "true"])).exitCode === 0,
    missingPackages: withDpkg ? packages.filter((name) => !there.has(name)) : await missingPrograms(engine),
    aptGet: withDpkg && (await attempt(["apt-get", "--version"])).exitCode === 0,
  };
}

async function availableControllers(): Promise<string[]> {
  const found = (await hierarchies()).map(async ({ type, mountPoint, options }) =>
    type === "cgroup" ? options.split(",") : ((await readIfThere(join(mountPoint, "cgroup.controllers"))) ?? "").trim().split(" "),
  );
  return (await Promise.all(found)).flat();
}

/** Without dpkg the programs themselves are looked for. */
async function missingPrograms(engine: EngineName): Promise<string[]> {
  const programs = engine === "docker" ? ["docker", "ip", "curl", "nsenter"] : ["podman", "runc", "socat", "mmdebstrap", "jq", "ip"];
  const found = await Promise.all(
    programs.map(async (name) => ((await attempt(["sh", "-c", `command -v ${name}`])).exitCode === 0 ? [] : [name])),
  );
  return found.flat();
}

/** Throws a {@link ClusterError} that lists every problem; installs missing packages. Returns a few words for the progress line. */
export async function checkRequirements(engine: EngineName, folders: readonly string[], logFile: string, note: Sink): Promise<string> {
  const facts = await gatherFacts(engine, folders);
  const problems = problemsOf(facts, engine);
  const [first, ...more] = problems;
  if (first) {
    const list = more.map((problem) => `\n${problem.what}\n  remedy: ${problem.remedy}`).join("");
    throw new ClusterError(first.what, `${first.remedy}${list}`);
  }
  if (facts.missingPackages.length === 0) return "all there";
  note(`installing ${facts.missingPackages.join(" ")}`);
  await installPackages(facts.missingPackages, logFile);
  return `${facts.missingPackages.length} packages installed`;
}

async function installPackages(packages: readonly string[], logFile: string): Promise<void> {
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  const install = ["apt-get", "install", "--yes", "--no-install-recommends", ...packages];
  const options = { env, logFile, timeoutMs: 15 * 60_000 };
  if ((await attempt(install, options)).exitCode === 0) return;
  // The lists of an image-fresh machine are often missing or old.
  try {
    await run(["apt-get", "update"], options);
    await run(install, options);
  } catch (error) {
    throw new ClusterError(
      `packages could not be installed: ${error instanceof Error ? error.message : error}`,
      `install them by hand: ${install.join(" ")}`,
      { cause: error },
    );
  }
}

/** Throws a {@link ClusterError} that names a port of the host's loopback that somebody else listens on. */
export async function checkPortsFree(ports: Ports): Promise<void> {
  for (const [name, port] of Object.entries(ports)) {
    if (await isPortFree(port)) continue;
    const owner = (await attempt(["sh", "-c", `ss --no-header --listening --tcp --processes 'sport = :${port}'`])).stdout.trim();
    const variable = `KAPPA_${name.toUpperCase()}_PORT`;
    throw new ClusterError(
      `port ${port} of 127.0.0.1 is taken${owner && `: ${owner}`}`,
      `end the process that listens there, or choose another port with ${variable}`,
    );
  }
}

function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Kernel settings that two nodes' worth of watchers need (kind's documentation, "too many open files"); they hold for the whole machine. */
const KERNEL_LIMITS: Readonly<Record<string, number>> = {
  "fs.inotify.max_user_instances": 1024,
  "fs.inotify.max_user_watches": 524_288,
};

/** Raises what is lower. Returns the former values, to be put back when the cluster goes. */
export async function raiseKernelLimits(): Promise<Record<string, string>> {
  const former: Record<string, string> = {};
  for (const [name, needed] of Object.entries(KERNEL_LIMITS)) {
    const value = (await readFile(sysctlFile(name), "utf8")).trim();
    if (Number(value) >= needed) continue;
    await writeFile(sysctlFile(name), String(needed));
    former[name] = value;
  }
  return former;
}

/** Puts former values back. */
export async function restoreKernelLimits(former: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(former)) if (name in KERNEL_LIMITS) await writeFile(sysctlFile(name), value);
}

const sysctlFile = (name: string) => `/proc/sys/${name.replaceAll(".", "/")}`;
