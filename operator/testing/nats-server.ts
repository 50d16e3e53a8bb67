import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binary } from "./binaries.ts";
import { ServerProcess, withFreePorts } from "./process.ts";

const START_TIMEOUT_MS = 30_000;

export interface NatsOptions {
  /** Further text for the configuration file, such as an accounts block. */
  config?: string;
}

/** A real nats-server with JetStream. */
export interface TestNats {
  /** `nats://127.0.0.1:PORT`. */
  url: string;
  /** Kills it; what it stored stays, for {@link TestNats.start}. */
  kill(): Promise<void>;
  /** Starts it again after {@link TestNats.kill}, on the same port with the same store. */
  start(): Promise<void>;
  /** Kills it and deletes what it stored. */
  stop(): Promise<void>;
}

/**
 * Starts nats-server with JetStream on a free port of the loopback interface, with Kappa's `max_payload`.
 * @throws Error with its last output when it does not become ready.
 */
export async function startNats(options: NatsOptions = {}): Promise<TestNats> {
  const folder = await mkdtemp(join(tmpdir(), "kappa-nats-"));
  const file = join(folder, "nats.conf");
  let server: ServerProcess | undefined;
  try {
    const port = await withFreePorts(1, async ([candidate = 0]) => {
      await writeFile(file, configuration(folder, candidate, options.config ?? ""));
      server = await launch(file, candidate);
      return candidate;
    });
    return {
      url: `nats://127.0.0.1:${port}`,
      kill: async () => server?.kill(),
      start: async () => {
        if (!server?.running) server = await launch(file, port);
      },
      stop: async () => {
        await server?.kill();
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

function configuration(folder: string, port: number, more: string): string {
  return [
    `listen: "127.0.0.1:${port}"`,
    `server_name: "test"`,
    `max_payload: 8MB`,
    `jetstream { store_dir: ${JSON.stringify(join(folder, "store"))} }`,
    more,
  ].join("\n");
}

async function launch(file: string, port: number): Promise<ServerProcess> {
  const server = new ServerProcess(binary("nats-server"), ["--config", file]);
  try {
    await server.ready(() => answers(port), START_TIMEOUT_MS);
  } catch (error) {
    await server.kill();
    throw error;
  }
  return server;
}

/** Whether a NATS server greets on the port. It listens only after JetStream has been recovered. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.once("data", (data) => finish(data.toString("latin1").startsWith("INFO ")));
    socket.once("error", () => finish(false));
  });
}
