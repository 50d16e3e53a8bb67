/** Starts the processes of a runtime. */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startCommand } from "./start-command.ts";

/** What all processes of a runtime are started with. */
export interface SpawnOptions {
  runtimeRoot: string;
  taskRoot: string;
  /** Largest file that the function may write. */
  maxFileBytes: number;
  /** Descriptor that stdout and stderr go to. */
  outputFd: number;
}

/** Highest there is: on a memory overrun the runtime dies, not the agent (proc_pid_oom_score_adj(5)). */
const OOM_SCORE_FIRST_TO_GO = "1000";

/**
 * Starts a program of the runtime's folder.
 * @param control whether it gets a socket to the agent as its descriptor 3
 * @throws what fork(2) or execve(2) say; some failures are emitted as `error` instead
 */
export function spawnRuntime(
  program: "bootstrap" | "zygote",
  options: SpawnOptions,
  variables: Record<string, string>,
  control = false,
): ChildProcess {
  const { runtimeRoot, taskRoot, maxFileBytes, outputFd } = options;
  const [file, ...args] = startCommand(join(runtimeRoot, program), maxFileBytes);
  const child = spawn(file, args, {
    cwd: taskRoot,
    env: variables,
    stdio: ["ignore", outputFd, outputFd, ...(control ? (["pipe"] as const) : [])],
    // A group and session of its own, so that a signal to the runtime's group never means the agent.
    detached: true,
  });
  if (child.pid !== undefined) {
    try {
      writeFileSync(`/proc/${child.pid}/oom_score_adj`, OOM_SCORE_FIRST_TO_GO);
    } catch {
      // It has ended already.
    }
  }
  return child;
}
