import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { clusterEnv } from "../../suites/support/cluster.ts";
import { type Command, Outcome } from "./messages.ts";

/** Far beyond what any command takes. */
const LIMIT_MS = 300_000;

/** The load program in its pod, one process for the whole bench: its code is compiled and its connections are open. */
export class Load {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  #said = "";
  #last: Promise<unknown> = Promise.resolve();

  constructor(namespace: string, pod: string) {
    const argv = ["exec", "--stdin", "-n", namespace, pod, "--", "/kappa/node", "/bench/program.mjs", "load"];
    this.#child = spawn("kubectl", argv, { env: clusterEnv(), stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr.on("data", (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk}`.slice(-2_000);
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Has a command carried out, after those before. */
  run(command: Command): Promise<Outcome> {
    const result = this.#last.then(() => this.#run(command));
    this.#last = result.catch(() => {});
    return result;
  }

  async #run(command: Command): Promise<Outcome> {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    const line = await within(LIMIT_MS, this.#lines.next(), () => `the load program has not answered ${command.do}: ${this.#said}`);
    if (line.done) throw new Error(`the load program ended: ${this.#said}`);
    return Outcome.parse(JSON.parse(line.value));
  }

  close(): void {
    this.#child.stdin.end();
    this.#child.kill();
  }
}

async function within<T>(limitMs: number, awaited: Promise<T>, problem: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(problem())), limitMs);
  });
  try {
    return await Promise.race([awaited, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Milliseconds of each answer. Throws when not all were 200: a figure with failures in it says nothing. */
export function answered(outcome: Outcome, what: string): number[] {
  const others = Object.entries(outcome.statuses).filter(([status]) => status !== "200");
  if (others.length > 0)
    throw new Error(`${what}: ${others.map(([status, n]) => `${n} × ${status}`).join(", ")}; the first: ${outcome.firstProblem ?? ""}`);
  return outcome.latencies.map((microseconds) => microseconds / 1000);
}
