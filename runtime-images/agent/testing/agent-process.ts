/** The real agent in a PID namespace of its own, as in a pod: there it may stop and kill everything but itself. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

export interface AgentProcessOptions {
  gatewayPort: number;
  gatewayHost?: string;
  runtimeRoot: string;
  podName?: string;
  token?: string;
  /** Further variables. */
  env?: Record<string, string>;
  /** A cgroup to run in: file that takes a process id. */
  cgroupProcs?: string;
  /** Run this file instead of the sources. */
  main?: string;
  nodeOptions?: string[];
  /** False: start it as an ordinary process. Default: in a namespace, as in a pod. */
  ownPidNamespace?: boolean;
}

interface TestProcess {
  pid: number;
  /** One letter, as in proc_pid_stat(5). */
  state: string;
  /** CPU time used so far, in clock ticks. */
  cpuTicks: number;
  command: string;
}

export class AgentProcess {
  readonly folder: string;
  readonly taskRoot: string;
  readonly tokenFile: string;
  readonly roleFolder: string;
  stdout = "";
  stderr = "";
  readonly exited: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(folder: string, options: AgentProcessOptions) {
    this.folder = folder;
    this.taskRoot = join(folder, "task");
    this.tokenFile = join(folder, "token");
    this.roleFolder = join(folder, "role");
    // Where this is not root, a user namespace gives the right to make the other one.
    const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
    // The shell is PID 1 and reaps orphans, as the image's init does.
    const enter = options.cgroupProcs === undefined ? "" : `echo $$ > ${options.cgroupProcs}; `;
    const init = ["sh", "-c", `${enter}"$@"; exit $?`, "sh"];
    const node = [process.execPath, ...(options.nodeOptions ?? []), options.main ?? MAIN];
    const command = ["unshare", ...user, "--pid", "--fork", "--mount-proc", "--kill-child", ...init, ...node];
    const [file = "", ...args] = options.ownPidNamespace === false ? node : command;
    this.#child = spawn(file, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH,
        KAPPA_GATEWAY_HOST: options.gatewayHost ?? "127.0.0.1",
        KAPPA_GATEWAY_PORT: String(options.gatewayPort),
        KAPPA_RUNTIME: "python3.11",
        POD_NAME: options.podName ?? "pod-1",
        POD_NAMESPACE: "default",
        KAPPA_TOKEN_FILE: this.tokenFile,
        KAPPA_TASK_ROOT: this.taskRoot,
        KAPPA_TMP: folder,
        KAPPA_ROLE_FOLDER: this.roleFolder,
        KAPPA_RUNTIME_ROOT: options.runtimeRoot,
        KAPPA_RUNTIME_API_PORT: "0",
        ...options.env,
      },
    });
    this.#child.stdout?.on("data", (chunk) => {
      this.stdout += chunk;
    });
    this.#child.stderr?.on("data", (chunk) => {
      this.stderr += chunk;
    });
    this.exited = new Promise((resolve) => this.#child.once("close", (code) => resolve(code)));
  }

  /** Process id of the agent on this machine. */
  async pid(): Promise<number> {
    return await until(async () => {
      for (const { pid, command } of await processes()) if (command.includes(MAIN) && (await hasVariable(pid, this.folder))) return pid;
      return undefined;
    }, "the agent's process");
  }

  async signal(signal: NodeJS.Signals): Promise<void> {
    process.kill(await this.pid(), signal);
  }

  /** Processes that run the function: everything whose working directory is its folder. Ids are those of this machine. */
  async functionProcesses(): Promise<TestProcess[]> {
    const found: TestProcess[] = [];
    for (const process of await processes()) {
      const cwd = await readlink(`/proc/${process.pid}/cwd`).catch(() => "");
      if (cwd === this.taskRoot && process.state !== "Z") found.push(process);
    }
    return found;
  }

  /** Waits until the output holds this. @returns the output */
  async output(what: string | RegExp): Promise<string> {
    await until(
      async () => (typeof what === "string" ? this.stdout.includes(what) : what.test(this.stdout)) || undefined,
      `${what} in the output`,
    );
    return this.stdout;
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.exited;
    await rm(this.folder, { recursive: true, force: true });
  }
}

export async function startAgent(options: AgentProcessOptions): Promise<AgentProcess> {
  const folder = await mkdtemp(join(tmpdir(), "kappa-agent-"));
  for (const name of ["task", "role"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "token"), options.token ?? "a-token\n");
  return new AgentProcess(folder, options);
}

/** Polls until there is a value. */
export async function until<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function processes(): Promise<TestProcess[]> {
  const found: TestProcess[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = await readFile(`/proc/${name}/stat`, "latin1");
      const command = (await readFile(`/proc/${name}/cmdline`, "latin1")).replaceAll("\0", " ");
      // Node's own, not the unshare and the shell around it, which have it as an argument.
      const executable = await readlink(`/proc/${name}/exe`).catch(() => "");
      const [state = "?", ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      const cpuTicks = Number(fields[10]) + Number(fields[11]);
      found.push({
        pid: Number(name),
        state,
        cpuTicks,
        command: /(sh|unshare)$/.test(executable) && command.includes(MAIN) ? "" : command,
      });
    } catch {
      // Gone.
    }
  }
  return found;
}

async function hasVariable(pid: number, value: string): Promise<boolean> {
  return (await readFile(`/proc/${pid}/environ`, "latin1").catch(() => "")).includes(value);
}
