import { setTimeout as sleep } from "node:timers/promises";
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection, nkeyAuthenticator } from "@nats-io/transport-node";
import { asBusError, BusError } from "./errors.ts";

/** Whether NATS can be used now, and if not, why. */
export interface BusStatus {
  connected: boolean;
  error?: unknown;
}

export interface BusOptions {
  /** `nats://host:port`, one or several. */
  servers: string | string[];
  /** Seed of the user's nkey (`SU…`). */
  seed: string;
  /** How this process appears in NATS's monitoring. */
  name: string;
  /** Told whenever the connection comes, goes or fails to come. Must not throw. */
  onStatus?: ((status: BusStatus) => void) | undefined;
  /** How long opening waits for the first connection before it goes on without, milliseconds. Default 5,000. */
  firstConnectMs?: number | undefined;
}

/** JetStream over a connection that is there now. */
export interface JetStream {
  client: JetStreamClient;
  manager: JetStreamManager;
}

/** One request to NATS. */
const REQUEST_TIMEOUT_MS = 5_000;
/** How long a call waits for a connection that is just being made again. Longer would be a hang, shorter would fail on every blip. */
const CONNECTION_WAIT_MS = 2_000;
/** A dead peer is noticed after two missed pongs. */
const PING_INTERVAL_MS = 10_000;
const DIAL_TIMEOUT_MS = 5_000;
const MIN_RECONNECT_MS = 100;
const MAX_RECONNECT_MS = 5_000;

/** A connection to NATS that is made again for ever, and calls over it that end in bounded time. */
export class BusConnection {
  #options: BusOptions;
  #jetstream: JetStream | undefined;
  #connection: NatsConnection | undefined;
  #connected = false;
  #closing = new AbortController();
  #loop: Promise<void>;
  #waiters = new Set<() => void>();
  #attempts = 0;

  private constructor(options: BusOptions) {
    this.#options = options;
    this.#loop = this.#run();
  }

  /** Resolves with the first connection, or without one after `firstConnectMs`: then it is made in the background. */
  static async open(options: BusOptions): Promise<BusConnection> {
    const bus = new BusConnection(options);
    await bus.#wait(options.firstConnectMs ?? DIAL_TIMEOUT_MS);
    return bus;
  }

  get connected(): boolean {
    return this.#connected;
  }

  /** Runs an operation; `what` names it in errors. @throws BusError, retryable while NATS is away */
  async use<T>(what: string, operation: (js: JetStream) => Promise<T>): Promise<T> {
    if (!this.#connected) await this.#wait(CONNECTION_WAIT_MS);
    const js = this.#jetstream;
    if (!this.#connected || !js) throw new BusError(`${what}: not connected to NATS at ${this.#options.servers}`, { retryable: true });
    try {
      return await operation(js);
    } catch (error) {
      throw asBusError(what, error);
    }
  }

  /** Ends the connection; calls under way fail. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#connection?.close();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const connection = await this.#dial();
        this.#connection = connection;
        if (signal.aborted) await connection.close();
        else await this.#follow(connection);
      } catch (error) {
        if (!signal.aborted) this.#changed(false, error);
      }
      this.#connection = undefined;
      this.#jetstream = undefined;
      await sleep(this.#delay(), undefined, { signal }).catch(() => {});
    }
    this.#changed(false);
  }

  #dial(): Promise<NatsConnection> {
    const { servers, seed, name } = this.#options;
    return connect({
      servers,
      name,
      authenticator: nkeyAuthenticator(new TextEncoder().encode(seed.trim())),
      timeout: DIAL_TIMEOUT_MS,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: 2,
      maxReconnectAttempts: -1,
      reconnectDelayHandler: () => this.#delay(),
      // NATS may be started with the new keys a moment later than we are.
      ignoreAuthErrorAbort: true,
      // What could not be sent is not wanted any more when the caller has given up: errors carry their own place.
      noAsyncTraces: true,
    });
  }

  /** Follows a connection through its reconnections until it is closed. */
  async #follow(connection: NatsConnection): Promise<void> {
    const options = { timeout: REQUEST_TIMEOUT_MS, checkAPI: false };
    this.#jetstream = { client: jetstream(connection, options), manager: await jetstreamManager(connection, options) };
    this.#changed(true);
    for await (const status of connection.status()) {
      if (status.type === "reconnect") this.#changed(true);
      else if (status.type === "disconnect") this.#changed(false);
      else if (status.type === "error") this.#options.onStatus?.({ connected: this.#connected, error: status.error });
    }
    const error = await connection.closed();
    if (error) throw error;
  }

  #changed(connected: boolean, error?: unknown): void {
    this.#connected = connected;
    if (connected) {
      this.#attempts = 0;
      for (const waiter of this.#waiters) waiter();
    }
    this.#options.onStatus?.(error === undefined ? { connected } : { connected, error });
  }

  /** Doubles with each attempt; half of it is random, so that a restart of NATS is not met by everybody at once. */
  #delay(): number {
    const full = Math.min(MAX_RECONNECT_MS, MIN_RECONNECT_MS * 2 ** Math.min(this.#attempts++, 20));
    return full / 2 + (full / 2) * Math.random();
  }

  /** Resolves when connected, closed, or after `ms`. */
  async #wait(ms: number): Promise<void> {
    const { signal } = this.#closing;
    if (this.#connected || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        this.#waiters.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done);
      this.#waiters.add(done);
    });
  }
}
