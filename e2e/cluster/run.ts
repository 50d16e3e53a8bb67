import { createWriteStream } from "node:fs";
import { execa, type Options } from "execa";

/** How to run a command; everything is optional. */
export type RunOptions = {
  /** Added to this process' environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
  /** Milliseconds until the command is ended; ten minutes when not given. */
  readonly timeoutMs?: number;
  /** The command's output is written to the end of this file as well. */
  readonly logFile?: string;
  /** The terminal's own input and output, for commands that a person drives. */
  readonly inherit?: boolean;
};

/** What a command that ran to its end left. */
export type RunResult = { readonly stdout: string; readonly stderr: string; readonly exitCode: number };

/** A command that could not be started, was ended, or exited with another code than 0. */
export class CommandError extends Error {
  readonly result: RunResult;

  constructor(argv: readonly string[], reason: string, result: RunResult, logFile: string | undefined) {
    const last = `${result.stderr}\n${result.stdout}`.trim().split("\n").slice(-15).join("\n    ");
    super(`${wordsOf(argv)}: ${reason}${last && `\n    ${last}`}${logFile ? `\n  whole output: ${logFile}` : ""}`);
    this.name = "CommandError";
    this.result = result;
  }
}

/** A command for a person to read; the part that only enters namespaces and cgroups is left out. */
export function wordsOf(argv: readonly string[]): string {
  const entered = argv[0] === "sh" && argv[1] === "-c" ? argv.indexOf("--") + 1 : 0;
  return argv.slice(entered).join(" ").slice(0, 300);
}

const TEN_MINUTES = 600_000;

/** Runs a command and returns its output whatever its exit code is (127 where it could not be started). */
export async function attempt(argv: readonly string[], options: RunOptions = {}): Promise<RunResult & { reason?: string }> {
  const [file, ...args] = argv;
  if (file === undefined) throw new TypeError("attempt() needs a command");
  const log = options.logFile === undefined ? undefined : createWriteStream(options.logFile, { flags: "a" });
  log?.write(`\n$ ${argv.join(" ")}\n`);
  const execaOptions: Options = {
    reject: false,
    timeout: options.timeoutMs ?? TEN_MINUTES,
    killSignal: "SIGTERM",
    forceKillAfterDelay: 5_000,
    maxBuffer: 200_000_000,
    ...(options.env && { env: options.env }),
    ...(options.cwd && { cwd: options.cwd }),
    ...(options.inherit
      ? { stdio: "inherit" as const }
      : options.input === undefined
        ? { stdin: "ignore" as const }
        : { input: options.input }),
  };
  const child = execa(file, args, execaOptions);
  if (log) {
    child.stdout?.on("data", (chunk) => log.write(chunk));
    child.stderr?.on("data", (chunk) => log.write(chunk));
  }
  const done = await child;
  log?.end();
  const result = { stdout: String(done.stdout ?? ""), stderr: String(done.stderr ?? ""), exitCode: done.exitCode ?? 127 };
  if (!done.failed) return result;
  const limit = Math.round((options.timeoutMs ?? TEN_MINUTES) / 1000);
  const code = done.exitCode === undefined ? (done.code ?? "failed") : `exit code ${done.exitCode}`;
  return { ...result, reason: done.timedOut ? `not done within ${limit} s` : done.signal ? `ended by ${done.signal}` : code };
}

/** Runs a command; throws {@link CommandError} unless it exits with 0. Returns its standard output without the last line break. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await attempt(argv, options);
  if (result.reason !== undefined || result.exitCode !== 0) {
    throw new CommandError(argv, result.reason ?? `exit code ${result.exitCode}`, result, options.logFile);
  }
  return result.stdout;
}

/** Asks `probe` again every `everyMs` until it returns something else than undefined, at most for `timeoutMs`. */
export async function waitFor<T>(what: string, timeoutMs: number, probe: () => Promise<T | undefined>, everyMs = 500): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (Date.now() > end) throw new Error(`${what}: not within ${Math.round(timeoutMs / 1000)} s`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
