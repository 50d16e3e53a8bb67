/** One run of the runtime: the process that `bootstrap` starts, or a zygote that has its order. */
import type { ChildProcess } from "node:child_process";
import { LEFTOVERS, SPAWN_RETRY } from "../limits.ts";
import type { Exit } from "./failures.ts";
import { MemoryMeter, oomKills } from "./memory.ts";
import type { Processes } from "./processes.ts";
import { type SpawnOptions, spawnRuntime } from "./spawn.ts";

/** A process that was started already. */
export interface RunningProcess {
  child: ChildProcess;
  pid: number;
}

export interface RuntimeProcessOptions extends SpawnOptions {
  cgroupRoot: string;
  processes: Pick<Processes, "list">;
  variables: Record<string, string>;
  /** Taken over instead of a start. */
  running: RunningProcess | undefined;
  onExit: (exit: Exit) => void;
  /** The process could not be started at all. */
  onStartError: (error: Error) => void;
}

/** What a start can fail with because of the processes that came before, which are on their way out (fork(2), execve(2)). */
const TRANSIENT: readonly unknown[] = ["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"];

export class RuntimeProcess {
  memory: MemoryMeter | undefined;
  /** Absent until it was started. */
  pid: number | undefined;
  readonly #options: RuntimeProcessOptions;
  #overran = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: RuntimeProcessOptions) {
    this.#options = options;
    if (options.running) this.#watch(options.running);
    else this.#startAfterLeftovers(1);
  }

  /** Waits a moment for what was killed before: a thousand processes that end take their time, and the function would still see them. */
  #startAfterLeftovers(look: number): void {
    this.#retry = undefined;
    if (look < LEFTOVERS.looks && this.#options.processes.list().length > 0)
      this.#retry = setTimeout(() => this.#startAfterLeftovers(look + 1), LEFTOVERS.pauseMs);
    else this.#start(1);
  }

  /** Gives up a start that has not succeeded yet. @returns false when there is a process, whose end will be told */
  cancel(): boolean {
    if (this.#retry === undefined) return false;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    return true;
  }

  /** It is killed by the agent for what the kernel would have killed it for, had it known the function's limit. */
  overran(): void {
    this.#overran = true;
  }

  #start(attempt: number): void {
    this.#retry = undefined;
    const failed = (error: Error): void => {
      if (attempt < SPAWN_RETRY.attempts && "code" in error && TRANSIENT.includes(error.code))
        this.#retry = setTimeout(() => this.#start(attempt + 1), SPAWN_RETRY.pauseMs);
      else this.#options.onStartError(error);
    };
    try {
      const child = spawnRuntime("bootstrap", this.#options, this.#options.variables);
      child.once("error", failed);
      if (child.pid !== undefined) this.#watch({ child, pid: child.pid });
    } catch (error) {
      // Some failures are thrown, others emitted. Like an event, it comes after the constructor's end.
      process.nextTick(failed, error);
    }
  }

  #watch({ child, pid }: RunningProcess): void {
    const { cgroupRoot, onExit } = this.#options;
    const killsBefore = oomKills(cgroupRoot);
    this.pid = pid;
    this.memory = new MemoryMeter(pid);
    child.once("exit", (code, signal) => {
      this.memory?.close();
      onExit({ code, signal, outOfMemory: signal === "SIGKILL" && (this.#overran || oomKills(cgroupRoot) > killsBefore) });
    });
  }
}
