/**
 * Runtimes started as the agent starts them, but without an agent: afresh, or by a zygote that is given its order by the test. Both ways
 * use the same folder, address and variables, so that what differs is what the way itself makes different.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Assignment } from "../../../operator/src/api/environment-protocol.ts";
import { spawnRuntime } from "../src/environment/spawn.ts";
import { runtimeVariables, zygoteVariables } from "../src/environment/variables.ts";
import { RuntimeApi } from "../src/runtime-api/server.ts";
import { assignmentOf, zipOf } from "./packages.ts";

/** How a runtime comes to run a function. */
export type Way = "bootstrap" | "zygote";

export const WAYS: readonly Way[] = ["bootstrap", "zygote"];

export interface StartOptions {
  /** Runtime identifier. */
  runtime: string;
  /** A folder laid out as /var/runtime. */
  runtimeRoot: string;
  /** File name → content, the function's. */
  files: Record<string, string | Uint8Array>;
  assignment?: Partial<Assignment>;
  /** The pool's heap, for runtimes that have one; it is the function's memory unless the test says otherwise. */
  heapMb?: number;
}

const MAX_FILE_BYTES = 512 * 1024 * 1024;
const PATIENCE_MS = 20_000;

/** A Runtime API and the one runtime that speaks with it. */
export class RuntimeStart {
  readonly folder: string;
  readonly taskRoot: string;
  readonly #outputFile: string;
  readonly #api: RuntimeApi;
  #address = "";
  #child: ChildProcess | undefined;
  #ready = Promise.withResolvers<void>();
  #answer = Promise.withResolvers<string>();

  private constructor(folder: string) {
    this.folder = folder;
    this.taskRoot = join(folder, "task");
    this.#outputFile = join(folder, "output");
    const answered = (body: Uint8Array[]): void => this.#answer.resolve(Buffer.concat(body).toString());
    const failed = (why: string): void => {
      this.#answer.reject(new Error(why));
      this.#ready.reject(new Error(why));
    };
    this.#api = new RuntimeApi({
      ready: () => this.#ready.resolve(),
      response: answered,
      error: (_type, body) => answered(body),
      initError: (type, body) => failed(`init error ${type} ${Buffer.concat(body)}`),
      tooLarge: () => failed("the answer is too large"),
      invalidMode: () => failed("no such mode"),
      stream: () => {
        throw new Error("the test's functions do not stream");
      },
    });
  }

  static async create(): Promise<RuntimeStart> {
    const start = new RuntimeStart(await mkdtemp(join(tmpdir(), "kappa-start-")));
    start.#address = await start.#api.listen(0);
    return start;
  }

  /** Makes the runtime run this function, in the place of the one before. It waits for its first event then. */
  async become(way: Way, options: StartOptions): Promise<void> {
    await this.end();
    if (way === "bootstrap") {
      await this.#clear();
      await this.#place(options);
      this.#spawn(way, options, this.#variables(options));
    } else {
      await this.zygote(options);
      await this.#place(options);
      this.order(options);
    }
    await this.#before(this.#ready.promise, "the first request for an event");
  }

  /** Starts a zygote that is given no order. Resolves when it is ready for one; there is no code yet. */
  async zygote(options: StartOptions): Promise<ChildProcess> {
    await this.#clear();
    const heapMb = options.heapMb ?? (options.runtime.startsWith("python") ? 0 : assignment(options).memorySize);
    const child = this.#spawn("zygote", options, zygoteVariables(this.#input(options), heapMb));
    const control = child.stdio[3] as Socket;
    const [said] = await this.#before(once(control, "data"), "the zygote");
    if (String(said) !== "ready\n") throw new Error(`a zygote that is ready says so, not ${said}`);
    return child;
  }

  order(options: StartOptions): void {
    const order = Buffer.from(JSON.stringify({ environment: this.#variables(options) }));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(order.length);
    const control = this.#child?.stdio[3] as Socket | undefined;
    if (control === undefined) throw new Error("there is no zygote");
    control.end(Buffer.concat([length, order]));
  }

  /** What the function answers; the object of its error where it fails. */
  async invoke(event: unknown = {}): Promise<unknown> {
    await this.#before(this.#ready.promise, "the request for an event");
    this.#ready = Promise.withResolvers();
    this.#answer = Promise.withResolvers();
    this.#api.deliver({
      requestId: crypto.randomUUID(),
      deadlineMs: Date.now() + 60_000,
      invokedFunctionArn: "arn:aws:lambda:us-east-1:000000000001:function:f",
      payload: Buffer.from(JSON.stringify(event)),
    });
    return JSON.parse(await this.#before(this.#answer.promise, "the answer"));
  }

  /** Resolves when the runtime asks for another event: it is done with the one before, its output too. */
  async idle(): Promise<void> {
    await this.#before(this.#ready.promise, "the request for another event");
  }

  /** All that the runtime has written. */
  async output(): Promise<string> {
    return await readFile(this.#outputFile, "utf8");
  }

  /** Ends the runtime. */
  async end(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child && child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    this.#api.reset();
    this.#ready = Promise.withResolvers();
    this.#answer = Promise.withResolvers();
    // Nobody may wait for them.
    for (const { promise } of [this.#ready, this.#answer] as const) (promise as Promise<unknown>).catch(() => {});
  }

  async close(): Promise<void> {
    await this.end();
    this.#api.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  #spawn(program: Way, { runtimeRoot }: StartOptions, variables: Record<string, string>): ChildProcess {
    const outputFd = openSync(this.#outputFile, "w");
    try {
      const options = { runtimeRoot, taskRoot: this.taskRoot, maxFileBytes: MAX_FILE_BYTES, outputFd };
      const child = spawnRuntime(program, options, variables, program === "zygote");
      this.#child = child;
      return child;
    } finally {
      closeSync(outputFd);
    }
  }

  async #clear(): Promise<void> {
    await rm(this.taskRoot, { recursive: true, force: true });
    await mkdir(this.taskRoot);
  }

  async #place({ files }: StartOptions): Promise<void> {
    for (const [name, content] of Object.entries(files)) {
      const file = join(this.taskRoot, name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, content);
    }
  }

  #input({ runtime, runtimeRoot }: StartOptions) {
    return { runtime, runtimeRoot, taskRoot: this.taskRoot, runtimeApi: this.#address, inherited: { KUBERNETES_SERVICE_PORT: "443" } };
  }

  #variables(options: StartOptions): Record<string, string> {
    return runtimeVariables({ ...this.#input(options), assignment: assignment(options) });
  }

  /** A promise that a runtime which ends instead rejects. */
  async #before<T>(promise: Promise<T>, what: string): Promise<T> {
    const child = this.#child;
    const stop = new AbortController();
    const ended = async (): Promise<never> => {
      if (child && child.exitCode === null && child.signalCode === null)
        await once(child, "exit", { signal: AbortSignal.any([stop.signal, AbortSignal.timeout(PATIENCE_MS)]) }).catch(() => {});
      throw new Error(`waited in vain for ${what}; the runtime wrote: ${await this.output()}`);
    };
    try {
      return await Promise.race([promise, ended()]);
    } finally {
      stop.abort();
    }
  }
}

function assignment({ files, assignment: over }: StartOptions): Assignment {
  return assignmentOf(zipOf(files), over);
}
