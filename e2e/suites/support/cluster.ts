/** The cluster as a user reaches it: through the variables that `make -s env` prints and the tools on its PATH. */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { execOnNode } from "../../cluster/index.ts";

export const root = new URL("../../..", import.meta.url).pathname;
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "kappa");
const main = join(root, "e2e/cluster/main.ts");

/** `full` takes longer and proves more; see the rules on sizes in the README. */
export const FULL = process.env.SIZE === "full";

let environment: NodeJS.ProcessEnv | undefined;

/** The process environment plus what `make -s env` exports. */
export function clusterEnv(): NodeJS.ProcessEnv {
  if (environment) return environment;
  const exports = execFileSync(process.execPath, [main, "env"], { encoding: "utf8" });
  const names = [...exports.matchAll(/^export ([A-Z0-9_]+)=/gm)].map((m) => m[1] ?? "");
  // The shell itself interprets the quoting, as it does for a user's eval.
  const values = execFileSync("bash", ["-c", `${exports}\nfor n in ${names.join(" ")}; do printf '%s\\0' "\${!n}"; done`], {
    encoding: "utf8",
  }).split("\0");
  environment = { ...process.env, AWS_PAGER: "", AWS_EC2_METADATA_DISABLED: "true" };
  for (const [i, name] of names.entries()) environment[name] = values[i];
  return environment;
}

export interface Outcome {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a command in the cluster's environment; never throws on a failing status. */
export function run(
  command: string,
  args: string[],
  options: { input?: string | Uint8Array; cwd?: string; timeoutMs?: number } = {},
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: clusterEnv(), cwd: options.cwd ?? root, stdio: ["pipe", "pipe", "pipe"] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const timer = options.timeoutMs ? setTimeout(() => child.kill("SIGKILL"), options.timeoutMs) : undefined;
    child.stdout.on("data", (b: Buffer) => out.push(b));
    child.stderr.on("data", (b: Buffer) => err.push(b));
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ status: code ?? 1, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    });
    child.stdin.on("error", () => {}); // a command that does not read its input is free to close it
    child.stdin.end(options.input);
  });
}

/** Runs a command that must succeed and returns what it printed. */
export async function must(command: string, args: string[], options: Parameters<typeof run>[2] = {}): Promise<string> {
  const outcome = await run(command, args, options);
  if (outcome.status !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with ${outcome.status}: ${outcome.stderr || outcome.stdout}`);
  return outcome.stdout;
}

export const kubectl = (...args: string[]): Promise<string> => must("kubectl", args, { timeoutMs: 240_000 });

export async function kubectlJson<T>(...args: string[]): Promise<T> {
  return JSON.parse(await kubectl(...args, "-o", "json")) as T;
}

/** Applies objects as `kubectl apply -f -` does. */
export const apply = (...objects: object[]): Promise<string> =>
  must("kubectl", ["apply", "-f", "-"], { input: objects.map((o) => JSON.stringify(o)).join("\n---\n") });

/** Runs a command inside a node of the cluster. */
async function onNode(node: string, ...command: string[]): Promise<string> {
  const result = await execOnNode(node, command, { timeoutMs: 60_000 });
  if (result.exitCode !== 0) throw new Error(`${command.join(" ")} on ${node} ended with ${result.exitCode}: ${result.stderr}`);
  return result.stdout;
}

export interface Pod {
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    deletionTimestamp?: string;
  };
  spec: { nodeName?: string };
  status: {
    phase: string;
    podIP?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: { containerID?: string; ready: boolean; restartCount: number; resources?: { limits?: Record<string, string> } }[];
  };
}

export async function pods(namespace: string, selector: string): Promise<Pod[]> {
  return (await kubectlJson<{ items: Pod[] }>("get", "pods", "-n", namespace, "-l", selector)).items;
}

/** The pods of a function. One that came from a pool is told by its annotation, which follows its first event. */
export const environmentPods = async (functionName: string, namespace = "default"): Promise<Pod[]> =>
  (await pods(namespace, "kappa.dev/component=environment")).filter(
    ({ metadata }) => metadata.annotations?.["kappa.dev/function"] === functionName,
  );

/**
 * The living pods of a function that has answered: the API server shows a moment later that they are its own, that they run, and the size to
 * which one from a pool shrinks.
 * @param limit of their memory, as Kubernetes writes it, where it is waited for
 */
export const settledPods = (functionName: string, limit?: string): Promise<Pod[]> =>
  eventually(`the pods of ${functionName} are as they stay`, async () => {
    const found = (await environmentPods(functionName)).filter(
      ({ metadata, status }) => !metadata.deletionTimestamp && status.phase !== "Failed" && status.phase !== "Succeeded",
    );
    const isSettled = ({ status }: Pod) =>
      status.phase === "Running" && (limit === undefined || status.containerStatuses?.[0]?.resources?.limits?.memory === limit);
    return found.length > 0 && found.every(isSettled) ? found : undefined;
  });

/** Of a container: kills its first process, and waits until that is gone. Its memory is freed first, and its connections live till then. */
const KILL = `pid=$(ctr -n k8s.io task ls | awk -v id="$1" '$1 == id { print $2 }') && ctr -n k8s.io task kill -s SIGKILL "$1" || exit 1
for look in $(seq 200); do [ -d "/proc/$pid" ] || exit 0; sleep 0.05; done; echo "process $pid is still there" >&2; exit 1`;

/**
 * Kills the first process of a pod's container with SIGKILL, as a crash of the node's kernel would not even warn it. Resolves when it is
 * gone.
 */
export async function killPod(pod: Pod): Promise<void> {
  const id = pod.status.containerStatuses?.[0]?.containerID?.replace("containerd://", "");
  if (!id || !pod.spec.nodeName) throw new Error(`pod ${pod.metadata.name} has no running container`);
  await onNode(pod.spec.nodeName, "sh", "-c", KILL, "sh", id);
}

/** Waits until a probe gives a value. The limit is for hangs, far above what is expected. */
export async function eventually<T>(what: string, probe: () => Promise<T | undefined>, limitMs = 120_000): Promise<T> {
  const end = Date.now() + limitMs;
  let last: unknown;
  while (Date.now() < end) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await new Promise((r) => setTimeout(r, 250));
  }
  throw new Error(`${what}: not within ${limitMs / 1000} s`, { cause: last });
}

/** A Function object, `hello` style: Python by default. */
export function pythonFunction(name: string, source: string, spec: object = {}): object {
  return {
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name, namespace: "default" },
    spec: { runtime: "python3.11", handler: "index.handler", code: { inline: source }, ...spec },
  };
}

export async function applyAndWait(...functions: object[]): Promise<void> {
  await apply(...functions);
  for (const f of functions as { metadata: { name: string } }[]) {
    await kubectl("wait", "--for=condition=Ready", "--timeout=120s", "-n", "default", `function/${f.metadata.name}`);
  }
}

/** Applies many objects, some hundred in one go. */
export async function applyMany(objects: readonly object[]): Promise<void> {
  for (let i = 0; i < objects.length; i += 250) await apply(...objects.slice(i, i + 250));
}

export const deleteFunctions = (...names: string[]): Promise<string> =>
  kubectl("delete", "function", "-n", "default", "--ignore-not-found", "--wait=true", ...names);

/** A Python environment with the pinned clients, made once and kept in the cache. Returns its `bin` folder. */
export function pythonTools(): string {
  const requirements = join(root, "e2e/suites/support/requirements.txt");
  const key = createHash("sha256").update(readFileSync(requirements)).digest("hex").slice(0, 16);
  const venv = join(cache, `python-tools-${key}`);
  const done = join(venv, ".complete");
  if (!existsSync(done)) {
    mkdirSync(cache, { recursive: true });
    execFileSync("python3", ["-m", "venv", "--clear", venv], { stdio: "inherit" });
    execFileSync(join(venv, "bin/pip"), ["install", "--quiet", "--disable-pip-version-check", "-r", requirements], { stdio: "inherit" });
    writeFileSync(done, "");
  }
  return join(venv, "bin");
}
