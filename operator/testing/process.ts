import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Lines of output kept for the message of a failed start. */
const LINES_KEPT = 40;

/**
 * Ends the program when this process closes the pipe on its standard input, which the kernel does for us however this process
 * ends: a killed test run leaves no server behind.
 */
const LEASH = 'exec 3<&0; "$@" 3<&- & child=$!; { cat >/dev/null; kill -9 $child; } <&3 2>/dev/null & wait $child';

/** A server that runs until it is stopped, or until this process ends. */
export class ServerProcess {
  readonly name: string;
  #child: ChildProcess;
  #exited: Promise<unknown>;
  #output: string[] = [];

  constructor(command: string, args: string[]) {
    this.name = command.slice(command.lastIndexOf("/") + 1);
    this.#child = spawn("/bin/sh", ["-c", LEASH, "sh", command, ...args], { stdio: ["pipe", "pipe", "pipe"] });
    this.#exited = once(this.#child, "exit");
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#output = [...this.#output, ...text.split("\n").filter(Boolean)].slice(-LINES_KEPT);
      });
    }
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The last lines that it wrote. */
  get output(): string {
    return this.#output.join("\n");
  }

  /** Waits until `ready` says so. @throws Error with the last output when the program ends first or `timeoutMs` pass. */
  async ready(ready: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await ready())) {
      if (!this.running) throw new Error(`${this.name} ended while starting. Its last output:\n${this.output}`);
      if (Date.now() > deadline) throw new Error(`${this.name} was not ready after ${timeoutMs} ms. Its last output:\n${this.output}`);
      await sleep(50);
    }
  }

  /** Kills it and waits until it is gone. Twice is fine. */
  async kill(): Promise<void> {
    this.#child.stdin?.destroy();
    await this.#exited;
  }
}

/** Ports of the loopback interface that were free a moment ago, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    return await Promise.all(
      servers.map(async (server) => {
        await once(server.listen(0, "127.0.0.1"), "listening");
        const address = server.address();
        if (address === null || typeof address === "string") throw new Error("a listening TCP server has a port");
        return address.port;
      }),
    );
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** Starts something on free ports, once more when somebody else was faster to take one of them. */
export async function withFreePorts<T>(count: number, start: (ports: number[]) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePorts(count));
    } catch (error) {
      if (attempt === 3 || !/address already in use/.test(String(error))) throw error;
    }
  }
}
