/** One run of the runtime: the process that `bootstrap` starts. */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SPAWN_RETRY } from "../limits.ts";
import type { Exit } from "./failures.ts";
import { MemoryMeter, oomKills } from "./memory.ts";
import { startCommand } from "./start-command.ts";

export interface RuntimeProcessOptions {
  runtimeRoot: string;
  taskRoot: string;
  cgroupRoot: string;
  /** Largest file that the function may write. */
  maxFileBytes: number;
  variables: Record<string, string>;
  /** Descriptor that stdout and stderr go to. */
  outputFd: number;
  onExit: (exit: Exit) => void;
  /** The process could not be started at all. */
  onStartError: (error: Error) => void;
}

/** Highest there is: on a memory overrun the runtime dies, not the agent (proc_pid_oom_score_adj(5)). */
const OOM_SCORE_FIRST_TO_GO = "1000";

/** What a start can fail with because of the processes that came before, which are on their way out (fork(2), execve(2)). */
const TRANSIENT: readonly unknown[] = ["EAGAIN", "ENOMEM", "EMFILE", "ENFILE"];

export class RuntimeProcess {
  memory: MemoryMeter | undefined;
  readonly #options: RuntimeProcessOptions;
  readonly #killsBefore: number;
  #retry: NodeJS.Timeout | undefined;

  constructor(options: RuntimeProcessOptions) {
    this.#options = options;
    this.#killsBefore = oomKills(options.cgroupRoot);
    this.#start(1);
  }

  /** Gives up a start that has not succeeded yet. @returns false when there is a process, whose end will be told */
  cancel(): boolean {
    if (this.#retry === undefined) return false;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    return true;
  }

  #start(attempt: number): void {
    this.#retry = undefined;
    const failed = (error: Error): void => {
      if (attempt < SPAWN_RETRY.attempts && "code" in error && TRANSIENT.includes(error.code))
        this.#retry = setTimeout(() => this.#start(attempt + 1), SPAWN_RETRY.pauseMs);
      else this.#options.onStartError(error);
    };
    try {
      const child = this.#spawn();
      child.once("error", failed);
      if (child.pid !== undefined) this.#watch(child, child.pid);
    } catch (error) {
      // Some failures are thrown, others emitted. Like an event, it comes after the constructor's end.
      process.nextTick(failed, error);
    }
  }

  #spawn(): ChildProcess {
    const { runtimeRoot, taskRoot, maxFileBytes, variables, outputFd } = this.#options;
    const [file, ...args] = startCommand(join(runtimeRoot, "bootstrap"), maxFileBytes);
    return spawn(file, args, {
      cwd: taskRoot,
      env: variables,
      stdio: ["ignore", outputFd, outputFd],
      // A group and session of its own, so that a signal to the runtime's group never means the agent.
      detached: true,
    });
  }

  #watch(child: ChildProcess, pid: number): void {
    const { cgroupRoot, onExit } = this.#options;
    this.memory = new MemoryMeter(pid);
    try {
      writeFileSync(`/proc/${pid}/oom_score_adj`, OOM_SCORE_FIRST_TO_GO);
    } catch {
      // It has ended already.
    }
    child.once("exit", (code, signal) => {
      this.memory?.close();
      onExit({ code, signal, outOfMemory: signal === "SIGKILL" && oomKills(cgroupRoot) > this.#killsBefore });
    });
  }
}
