/**
 * A runtime that was started before it is known which function it will run: it has loaded its client and waits for one order. The
 * contract with the programs of that name in the runtimes' folders is in docs/reference/environment.md.
 */
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { ZYGOTE_RETRY } from "../limits.ts";
import type { RunningProcess } from "./runtime-process.ts";
import { type SpawnOptions, spawnRuntime } from "./spawn.ts";

export interface ZygoteOptions extends SpawnOptions {
  variables: Record<string, string>;
  /** Where the function's code will be, under a name by which it can be written. */
  codeRoot: string;
  /** It can take an order at once; or there will be none, and a function gets a process of its own. Called once. */
  onSettled: () => void;
  /** Something worth a line in the agent's own log. */
  onNote: (message: string, fields: Record<string, unknown>) => void;
}

/** What it writes when it has loaded all that it can. */
const READY = "ready\n";

/**
 * A folder of the code in which the dynamic linker looks for libraries. It remembers of each that was not there when it looked for the
 * first one (glibc, elf/dl-load.c, open_path), so while a zygote starts there is one, and native code finds its own later on.
 */
const LIBRARIES = "lib";

/** Descriptor of the socket on its side. */
const CONTROL = 3;

export class Zygote {
  readonly variables: Record<string, string>;
  readonly #options: ZygoteOptions;
  #child: ChildProcess | undefined;
  #retry: NodeJS.Timeout | undefined;
  #starts = 0;
  #settled = false;
  /** Whether a folder of its own is where the code will be. */
  #holdsPlace = false;
  #loaded = Promise.withResolvers<void>();

  constructor(options: ZygoteOptions) {
    this.#options = options;
    this.variables = options.variables;
    this.#start();
  }

  /** Whether the runtime brings one. */
  static exists(runtimeRoot: string): boolean {
    return existsSync(join(runtimeRoot, "zygote"));
  }

  /**
   * Makes it the runtime of a function, which it is at once when it has {@link Zygote.taken loaded}.
   * @param variables all of the runtime's
   * @returns undefined when there is no process to take it
   */
  order(variables: Record<string, string>): RunningProcess | undefined {
    const child = this.#release();
    const control = child?.stdio[CONTROL] as Socket | undefined;
    if (child?.pid === undefined || control === undefined) return undefined;
    const order = Buffer.from(JSON.stringify({ environment: variables }));
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32BE(order.length);
    control.end(Buffer.concat([length, order]));
    return { child, pid: child.pid };
  }

  /**
   * There is a function, so it is not started again. Resolves when the place of the code is empty: it has loaded all that it can, or has
   * ended; after `limitMs` it is ended.
   */
  async taken(limitMs: number): Promise<void> {
    this.#starts = ZYGOTE_RETRY.starts;
    clearTimeout(this.#retry);
    const timer = setTimeout(() => this.end(), limitMs);
    await this.#loaded.promise;
    clearTimeout(timer);
  }

  /** Once for each start: later a folder of that name is the function's. */
  #clear(): void {
    try {
      if (this.#holdsPlace) rmdirSync(join(this.#options.codeRoot, LIBRARIES));
    } catch (error) {
      this.#options.onNote("the zygote's folder could not be removed", { error: String(error) });
    }
    this.#holdsPlace = false;
    this.#loaded.resolve();
  }

  /** Ends it: the function needs a process of its own. */
  end(): void {
    this.#release()?.kill("SIGKILL");
    this.#clear();
  }

  /** Lets go of the process, if there is one: from here on its end is not this one's affair. */
  #release(): ChildProcess | undefined {
    const child = this.#child;
    clearTimeout(this.#retry);
    this.#settled = true;
    this.#child = undefined;
    child?.removeAllListeners();
    // What is still said of a start that failed.
    child?.on("error", () => {});
    return child;
  }

  #start(): void {
    this.#starts++;
    this.#loaded = Promise.withResolvers();
    try {
      mkdirSync(join(this.#options.codeRoot, LIBRARIES), { recursive: true });
      this.#holdsPlace = true;
      const child = spawnRuntime("zygote", this.#options, this.variables, true);
      this.#child = child;
      child.once("error", (error) => this.#ended(child, { error: error.message }));
      child.once("exit", (code, signal) => this.#ended(child, { code, signal }));
      this.#listen(child.stdio[CONTROL] as Socket);
    } catch (error) {
      this.#ended(undefined, { error: String(error) });
    }
  }

  #listen(control: Socket): void {
    let said = "";
    // Its end is told by the process's own.
    control.on("error", () => {});
    control.on("data", (bytes: Buffer) => {
      said = (said + bytes.toString("latin1")).slice(0, READY.length);
      if (said !== READY) return;
      this.#clear();
      this.#settle();
    });
  }

  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#options.onSettled();
  }

  #ended(child: ChildProcess | undefined, how: Record<string, unknown>): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    this.#clear();
    const again = this.#starts < ZYGOTE_RETRY.starts;
    this.#options.onNote(`the zygote has ended; ${again ? "it is started again" : "the function will get a process of its own"}`, how);
    if (again) this.#retry = setTimeout(() => this.#start(), ZYGOTE_RETRY.pauseMs);
    else this.#settle();
  }
}
