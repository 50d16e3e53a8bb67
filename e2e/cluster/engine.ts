import type { RunOptions, RunResult } from "./run.ts";
import type { EngineName } from "./settings.ts";

/** What runs the nodes' containers. Above it everything is the same code. */
export type Engine = {
  readonly name: EngineName;
  /** Environment in which kind uses this engine. */
  readonly kindEnv: Readonly<Record<string, string>>;
  /** Whether published ports are on the host's loopback already, or only in the capsule. */
  readonly publishesOnHost: boolean;
  /** Runs a command in the network that the nodes' network hangs on: the capsule's, or the host's. Throws unless it exits with 0. */
  inside(argv: readonly string[], options?: RunOptions): Promise<string>;
  /** Like {@link Engine.inside}, whatever the exit code. */
  tryInside(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Starts a process there that stays when this one ends; its output goes to `logFile`. */
  startInside(argv: readonly string[], logFile: string): Promise<void>;
  /** Runs the engine's own command line, `podman` or `docker`. */
  containers(args: readonly string[], options?: RunOptions): Promise<string>;
  /** Like {@link Engine.containers}, whatever the exit code. */
  tryContainers(args: readonly string[], options?: RunOptions): Promise<RunResult>;
};

/** The command that starts another one in a session of its own, with its output at the end of a file, and does not wait for it. */
export const detached = (logFile: string, argv: readonly string[]): string[] => [
  "sh",
  "-c",
  'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 &',
  "start",
  logFile,
  ...argv,
];
