/** One run of the runtime: the process that `bootstrap` starts. */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Exit } from "./failures.ts";
import { MemoryMeter, oomKills } from "./memory.ts";

export interface RuntimeProcessOptions {
  runtimeRoot: string;
  taskRoot: string;
  cgroupRoot: string;
  variables: Record<string, string>;
  /** Descriptor that stdout and stderr go to. */
  outputFd: number;
  onExit: (exit: Exit) => void;
  /** The process could not be started at all. */
  onStartError: (error: Error) => void;
}

/** Highest there is: on a memory overrun the runtime dies, not the agent (proc_pid_oom_score_adj(5)). */
const OOM_SCORE_FIRST_TO_GO = "1000";

export class RuntimeProcess {
  readonly memory: MemoryMeter | undefined;
  readonly #child: ChildProcess;

  constructor(options: RuntimeProcessOptions) {
    const killsBefore = oomKills(options.cgroupRoot);
    this.#child = spawn(join(options.runtimeRoot, "bootstrap"), [], {
      cwd: options.taskRoot,
      env: options.variables,
      stdio: ["ignore", options.outputFd, options.outputFd],
      // A group and session of its own, so that a signal to the runtime's group never means the agent.
      detached: true,
    });
    this.#child.once("error", options.onStartError);
    const { pid } = this.#child;
    if (pid === undefined) return;
    this.memory = new MemoryMeter(pid);
    try {
      writeFileSync(`/proc/${pid}/oom_score_adj`, OOM_SCORE_FIRST_TO_GO);
    } catch {
      // It has ended already.
    }
    this.#child.once("exit", (code, signal) => {
      this.memory?.close();
      options.onExit({ code, signal, outOfMemory: signal === "SIGKILL" && oomKills(options.cgroupRoot) > killsBefore });
    });
  }
}
