/** The agent's connections to the gateways: found, dialled, kept, dialled again. */
import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import {
  CloseCode,
  type Epoch,
  type Frame,
  FrameType,
  type Hello,
  type Welcome,
} from "../../../../operator/src/api/environment-protocol.ts";
import { GOODBYE_LIMIT_MS, MAX_GATEWAYS, REDIAL, REFUSED_REDIAL } from "../limits.ts";
import { describeError, type Log } from "../log.ts";
import { checkWelcome } from "../validate.ts";
import { chooseGateways, hostPort, redialPause } from "./choose.ts";
import { afterAction, afterWelcome, NO_VIEW, type View } from "./claim.ts";
import { Connection, type ReceivedFrame } from "./connection.ts";
import { Ticket } from "./ticket.ts";

export interface GatewaysOptions {
  host: string;
  port: number;
  /** `host:port` of the gateways that lived when the pod was made: dialled at once, whether or not the name can be resolved. */
  firstAddresses: readonly string[];
  /** Whether only the first of these takes this agent as it is: it gives the ticket that the others want to see. */
  needsTicket: boolean;
  podName: string;
  tokenFile: string;
  log: Log;
  random: () => number;
  /** The first frame but for what it proves itself with: the token is read again for each connection. */
  hello: () => Omit<Hello, "token" | "ticket">;
  /** Acts on any frame but `welcome`; may throw FrameError. */
  onFrame: (from: Connection, frame: ReceivedFrame) => void;
  /** A gateway has accepted this agent, or has told of another view: it wants to hear the state. */
  onWelcome: (from: Connection) => void;
  /** A connection has ended. */
  onLost: (connection: Connection) => void;
  /** The number of gateways that have accepted this agent has changed. */
  onCount: (connected: number) => void;
  /** Whether a connection is needed still, though its gateway is no member any more. */
  inUse: (connection: Connection) => boolean;
}

/** One address that is, or was, worth dialling. */
interface Peer {
  /** Of its gateway, as that told it. */
  name?: string;
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
  readonly #ticket = new Ticket();
  #needsTicket: boolean;
  /** What the gateways said of themselves last; their members count as long as a connection lives that would tell of changes. */
  #view: View = NO_VIEW;
  #lookupFailures = 0;
  #lookupTimer: NodeJS.Timeout | undefined;
  #stopped = false;
  #onAllClosed: (() => void) | undefined;

  constructor(options: GatewaysOptions) {
    this.#options = options;
    this.#needsTicket = options.needsTicket && options.firstAddresses.length > 0;
  }

  start(): void {
    this.#dialFound(this.#options.firstAddresses);
    void this.#lookUp();
  }

  /** The latest view of the gateways that this agent knows of. */
  get epoch(): Epoch {
    return this.#view.epoch;
  }

  /** Whether a gateway that acts as the function's owner may, by what all of them have told; from then on it is taken for the owner. */
  mayAct(from: Connection, epoch: Epoch): boolean {
    const view = afterAction(this.#view, this.#peers.get(from.address)?.name ?? from.address, epoch);
    if (view) this.#view = view;
    return view !== undefined;
  }

  /** To be called before anything of a function is here: from now on its assignment is what this agent proves itself with. */
  eraseTicket(): void {
    this.#ticket.erase();
    this.#needsTicket = false;
    this.follow();
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
    if (this.#needsTicket) return;
    try {
      const found = await lookup(host, { all: true });
      this.#lookupFailures = 0;
      this.#dialFound(found.map(({ address }) => hostPort(address, port)));
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

  /** Dials the members of the latest view, and leaves the other gateways once one of them is reached. */
  follow(): void {
    if (this.#stopped || this.#needsTicket || this.#view.members.length === 0) return;
    const members = new Set(this.#view.members.map(({ address }) => address));
    this.#dial(members);
    if (![...members].some((address) => this.#peers.get(address)?.welcomed)) return;
    for (const [address, { connection }] of this.#peers)
      if (connection && !members.has(address) && !this.#options.inUse(connection))
        connection.close(CloseCode.notMember, "not a member of the latest view");
  }

  /** Dials some of the gateways that were found: which of them to keep to, the first one reached tells. */
  #dialFound(addresses: readonly string[]): void {
    if (this.#stopped || this.connected > 0) return;
    const first = this.#needsTicket ? addresses.slice(0, 1) : addresses;
    this.#dial(new Set(chooseGateways(this.#options.podName, first, MAX_GATEWAYS)));
  }

  /** Dials those that are not dialled yet, and forgets the others. */
  #dial(addresses: ReadonlySet<string>): void {
    for (const [address, peer] of this.#peers) {
      // A living connection is never given up for one that is not there yet.
      if (peer.connection || addresses.has(address)) continue;
      clearTimeout(peer.timer);
      this.#peers.delete(address);
    }
    for (const address of addresses) {
      if (this.#peers.has(address)) continue;
      const peer: Peer = { welcomed: false, failures: 0 };
      this.#peers.set(address, peer);
      this.#connect(address, peer);
    }
  }

  #connect(address: string, peer: Peer): void {
    const { log, tokenFile, hello } = this.#options;
    let token: string;
    try {
      token = readFileSync(tokenFile, "utf8").trim();
    } catch (error) {
      log.error("the token for the gateways cannot be read; the environment pod projects it", {
        file: tokenFile,
        error: describeError(error),
      });
      this.#later(address, peer, REFUSED_REDIAL);
      return;
    }
    const connection: Connection = new Connection(address, {
      // As things are when it is sent: this agent may have become a function meanwhile.
      hello: () => this.#ticket.hello({ ...hello(), token }),
      onTicket: (ticket) => this.#ticket.keep(ticket),
      onFrame: (frame) => {
        if (frame.type === FrameType.welcome) this.#welcome(connection, peer, checkWelcome(frame.header));
        else this.#options.onFrame(connection, frame);
      },
      onClosed: (code, reason) => {
        this.#options.onLost(connection);
        this.#closed(address, peer, code, reason);
      },
    });
    peer.connection = connection;
  }

  #welcome(from: Connection, peer: Peer, welcome: Welcome): void {
    peer.name = welcome.members.find(({ address }) => address === from.address)?.name ?? from.address;
    this.#view = afterWelcome(this.#view, peer.name, welcome);
    if (!peer.welcomed) {
      peer.welcomed = true;
      peer.failures = 0;
      clearTimeout(this.#lookupTimer);
      this.#options.onCount(this.connected);
    }
    if (this.#ticket.known) this.#needsTicket = false;
    this.#options.onWelcome(from);
    this.follow();
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
    if (code === CloseCode.notMember) {
      this.#peers.delete(address);
      return;
    }
    const remedy = REMEDIES[code];
    if (remedy !== undefined) log.error(remedy, { gateway: address, code, reason });
    else if (wasWelcomed || peer.failures === 0)
      log.warn("connection to a gateway lost or refused; dialling again", { gateway: address, code, reason });
    this.#later(address, peer, remedy === undefined ? REDIAL : REFUSED_REDIAL);
    if (this.connected === 0) {
      this.#view = { ...this.#view, members: [], source: undefined };
      this.#scheduleLookUp();
    } else this.follow();
  }

  #later(address: string, peer: Peer, limits: { firstMs: number; maxMs: number }): void {
    peer.failures++;
    const pause = redialPause(peer.failures, limits, this.#options.random);
    peer.timer = setTimeout(() => {
      if (this.#peers.get(address) === peer) this.#connect(address, peer);
    }, pause);
  }
}
