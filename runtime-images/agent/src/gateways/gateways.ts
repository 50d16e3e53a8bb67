/** The agent's connections to the gateways: found, dialled, kept, dialled again. */
import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { CloseCode, type Frame, FrameType, type Hello, type Member } from "../../../../operator/src/api/environment-protocol.ts";
import { GOODBYE_LIMIT_MS, MAX_GATEWAYS, REDIAL, REFUSED_REDIAL } from "../limits.ts";
import { describeError, type Log } from "../log.ts";
import { checkWelcome } from "../validate.ts";
import { chooseGateways, hostPort, redialPause } from "./choose.ts";
import { Connection, type ReceivedFrame } from "./connection.ts";

export interface GatewaysOptions {
  host: string;
  port: number;
  /** `host:port` of the gateways that lived when the pod was made: dialled at once, whether or not the name can be resolved. */
  firstAddresses: readonly string[];
  podName: string;
  tokenFile: string;
  log: Log;
  random: () => number;
  /** The first frame but for its token, which is read again for each connection. */
  hello: () => Omit<Hello, "token">;
  /** Acts on any frame but `welcome`; may throw FrameError. */
  onFrame: (from: Connection, frame: ReceivedFrame) => void;
  /** A connection has ended. */
  onLost: (connection: Connection) => void;
  /** The number of gateways that have accepted this agent has changed. */
  onCount: (connected: number) => void;
}

/** One address that is, or was, worth dialling. */
interface Peer {
  connection?: Connection;
  welcomed: boolean;
  /** Failed attempts in a row. */
  failures: number;
  timer?: NodeJS.Timeout;
}

/** What to tell a person about a refusal that waiting alone does not cure. */
const REMEDIES: Readonly<Record<number, string>> = {
  [CloseCode.unauthorized]:
    "The gateway did not accept this pod's token. Check that the pod still exists under this name and UID, that its token volume has the audience gateway.kappa.dev, and the clocks of node and gateway.",
  [CloseCode.versionMismatch]:
    "Gateway and agent speak different protocol versions. Use runtime images and gateway of one Kappa release; pods of the old one are replaced by the gateway.",
};

export class Gateways {
  readonly #options: GatewaysOptions;
  readonly #peers = new Map<string, Peer>();
  /** Addresses from the last welcome; used as long as a connection lives that would tell of changes. */
  #members: string[] = [];
  #lookupFailures = 0;
  #lookupTimer: NodeJS.Timeout | undefined;
  #stopped = false;
  #onAllClosed: (() => void) | undefined;

  constructor(options: GatewaysOptions) {
    this.#options = options;
  }

  start(): void {
    this.#dialChosen(this.#options.firstAddresses);
    void this.#lookUp();
  }

  /** How many gateways have accepted this agent. */
  get connected(): number {
    return [...this.#peers.values()].filter((peer) => peer.welcomed).length;
  }

  /** Sends to every gateway that has accepted this agent. */
  broadcast(frame: Frame, except?: Connection): void {
    for (const { connection, welcomed } of this.#peers.values()) if (welcomed && connection !== except) connection?.send(frame);
  }

  /** Closes every connection. Resolves when all have confirmed, which is when all that was sent has arrived, or after a second. */
  async stop(reason: string): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#lookupTimer);
    const open = [...this.#peers.values()].filter((peer) => peer.connection !== undefined);
    for (const { timer } of this.#peers.values()) clearTimeout(timer);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onAllClosed = resolve;
    const limit = setTimeout(resolve, GOODBYE_LIMIT_MS);
    for (const { connection } of open) connection?.close(CloseCode.goingAway, reason);
    if (open.length === 0) resolve();
    await promise;
    clearTimeout(limit);
  }

  async #lookUp(): Promise<void> {
    const { host, port, log } = this.#options;
    try {
      const found = await lookup(host, { all: true });
      this.#lookupFailures = 0;
      this.#dialChosen(found.map(({ address }) => hostPort(address, port)));
    } catch (error) {
      this.#lookupFailures++;
      log.warn("the gateways' name could not be resolved; trying again. If this persists, look at the cluster's DNS.", {
        host,
        error: describeError(error),
      });
    }
    this.#scheduleLookUp();
  }

  /** While no gateway has accepted this agent nobody tells it of new ones, so it looks for them itself. */
  #scheduleLookUp(): void {
    clearTimeout(this.#lookupTimer);
    if (this.#stopped || this.connected > 0) return;
    const pause = redialPause(this.#lookupFailures > 0 ? this.#lookupFailures : 4, REDIAL, this.#options.random);
    this.#lookupTimer = setTimeout(() => void this.#lookUp(), pause);
  }

  #dialChosen(addresses: readonly string[]): void {
    if (this.#stopped) return;
    const chosen = new Set(chooseGateways(this.#options.podName, addresses, MAX_GATEWAYS));
    for (const [address, peer] of this.#peers) {
      // A living connection is never given up for a better one.
      if (peer.connection || chosen.has(address)) continue;
      clearTimeout(peer.timer);
      this.#peers.delete(address);
    }
    for (const address of chosen) {
      if (this.#peers.has(address) || this.#peers.size >= MAX_GATEWAYS) continue;
      const peer: Peer = { welcomed: false, failures: 0 };
      this.#peers.set(address, peer);
      void this.#dial(address, peer);
    }
  }

  async #dial(address: string, peer: Peer): Promise<void> {
    const { log, tokenFile, hello } = this.#options;
    let token: string;
    try {
      token = (await readFile(tokenFile, "utf8")).trim();
    } catch (error) {
      log.error("the token for the gateways cannot be read; the environment pod projects it", {
        file: tokenFile,
        error: describeError(error),
      });
      this.#later(address, peer, REFUSED_REDIAL);
      return;
    }
    if (this.#stopped || this.#peers.get(address) !== peer) return;
    const connection: Connection = new Connection(
      address,
      { ...hello(), token },
      {
        onFrame: (frame) => {
          if (frame.type === FrameType.welcome) this.#welcome(peer, checkWelcome(frame.header).members);
          else this.#options.onFrame(connection, frame);
        },
        onClosed: (code, reason) => {
          this.#options.onLost(connection);
          this.#closed(address, peer, code, reason);
        },
      },
    );
    peer.connection = connection;
  }

  #welcome(peer: Peer, members: readonly Member[]): void {
    this.#members = members.map(({ address }) => address);
    if (!peer.welcomed) {
      peer.welcomed = true;
      peer.failures = 0;
      clearTimeout(this.#lookupTimer);
      this.#options.onCount(this.connected);
    }
    this.#dialChosen(this.#members);
  }

  #closed(address: string, peer: Peer, code: number, reason: string): void {
    const { log } = this.#options;
    const wasWelcomed = peer.welcomed;
    delete peer.connection;
    peer.welcomed = false;
    if (wasWelcomed) this.#options.onCount(this.connected);
    if (this.#stopped) {
      if ([...this.#peers.values()].every((other) => other.connection === undefined)) this.#onAllClosed?.();
      return;
    }
    const remedy = REMEDIES[code];
    if (remedy !== undefined) log.error(remedy, { gateway: address, code, reason });
    else if (wasWelcomed || peer.failures === 0)
      log.warn("connection to a gateway lost or refused; dialling again", { gateway: address, code, reason });
    this.#later(address, peer, remedy === undefined ? REDIAL : REFUSED_REDIAL);
    if (this.connected === 0) {
      this.#members = [];
      this.#scheduleLookUp();
    } else this.#dialChosen(this.#members);
  }

  #later(address: string, peer: Peer, limits: { firstMs: number; maxMs: number }): void {
    peer.failures++;
    const pause = redialPause(peer.failures, limits, this.#options.random);
    peer.timer = setTimeout(() => {
      if (this.#peers.get(address) === peer) void this.#dial(address, peer);
    }, pause);
  }
}
