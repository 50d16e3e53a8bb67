import type { IncomingMessage } from "node:http";
import { Pool } from "undici";
import { WebSocket } from "ws";
import type { Clock } from "../kube/clock.ts";
import type { Logger } from "../telemetry/log.ts";
import type { PeerCandidate } from "./peer-directory.ts";
import { greetingOf, MAX_PEER_MESSAGE, type PeerState } from "./peer-messages.ts";
import { PingSweep } from "./ping-sweep.ts";
import type { SuspectNodes } from "./suspect-nodes.ts";

/** Path of the standing connection between two gateways. */
export const PEER_PATH = "/v1/peer";
/** Headers by which gateways tell each other who they are. */
export const PEER_NAME = "x-kappa-peer-name";
const PEER_HOST = "x-kappa-peer-host";
const PEER_PORT = "x-kappa-peer-port";
const AGENT_PORT = "x-kappa-agent-port";

const PING_MS = 1_000;
/** A gateway that is killed or goes closes its connections, which is noticed at once; one whose machine stops is noticed by this. */
const SILENT_MS = 3_000;
const REDIAL_MS = 200;
const MAX_REDIAL_MS = 2_000;
const CONNECT_MS = 2_000;

/** This gateway, as the others reach it. */
export interface Self {
  name: string;
  host: string;
  peerPort: number;
  agentPort: number;
}

/** Another gateway. */
export interface Peer {
  candidate: PeerCandidate;
  /** Listed in the directory: dialled again and again. */
  listed: boolean;
  /** What it said last. One that is leaving owns nothing any more, but finishes what it has. */
  state: PeerState;
  links: Set<WebSocket>;
  dialling: boolean;
  failures: number;
  cancelRedial: (() => void) | undefined;
  pool: Pool | undefined;
  poolOrigin: string | undefined;
}

export interface PeerLinksOptions {
  self: Self;
  secret: string;
  suspects: SuspectNodes;
  clock: Clock;
  log: Logger;
  /** How things are at this gateway, as headers. */
  greeting(): Record<string, string>;
  /** A connection was made. The epoch is what the other one greeted with. */
  linked(peer: Peer, epoch: number): void;
  /** A connection ended; without any left the gateway is gone. */
  unlinked(peer: Peer): void;
  message(peer: Peer, data: string): void;
  /** A listed gateway has answered, or has not. */
  tried(name: string): void;
}

/** The standing connections between this gateway and the others, in each direction one, made again and again while they are listed. */
export class PeerLinks {
  readonly #options: PeerLinksOptions;
  readonly #peers = new Map<string, Peer>();
  readonly #pings: PingSweep;
  #stopped = false;

  constructor(options: PeerLinksOptions) {
    this.#options = options;
    this.#pings = new PingSweep({ clock: options.clock, pingMs: PING_MS, silentMs: SILENT_MS });
  }

  start(): void {
    this.#pings.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#pings.stop();
    for (const peer of this.#peers.values()) {
      peer.cancelRedial?.();
      for (const link of peer.links) link.terminate();
      await peer.pool?.destroy();
    }
  }

  get(name: string): Peer | undefined {
    return this.#peers.get(name);
  }

  /** All that are known, connected or not. */
  all(): Iterable<Peer> {
    return this.#peers.values();
  }

  /** Says something to a gateway; false when it is not connected. What is said after each other arrives so, as long as a connection holds. */
  send(name: string, data: string): boolean {
    for (const link of this.#peers.get(name)?.links ?? []) {
      if (link.readyState !== WebSocket.OPEN) continue;
      link.send(data);
      return true;
    }
    return false;
  }

  /** Connections for requests to a living gateway; absent when it is gone. */
  pool(name: string): Pool | undefined {
    const peer = this.#peers.get(name);
    if (!peer || peer.links.size === 0) return undefined;
    const origin = `http://${authority(peer.candidate.host, peer.candidate.peerPort)}`;
    if (peer.poolOrigin !== origin) {
      void peer.pool?.close();
      // No time limits: an invocation takes as long as it takes, and a peer's death is noticed by its connection.
      peer.pool = new Pool(origin, {
        connections: null,
        pipelining: 1,
        headersTimeout: 0,
        bodyTimeout: 0,
        keepAliveTimeout: 60_000,
        connectTimeout: CONNECT_MS,
      });
      peer.poolOrigin = origin;
    }
    return peer.pool;
  }

  /** Takes a connection that another gateway dialled; it has shown the secret. */
  accept(link: WebSocket, request: IncomingMessage): void {
    const text = (name: string) => String(request.headers[name] ?? "");
    const candidate = {
      name: text(PEER_NAME),
      host: text(PEER_HOST),
      peerPort: Number(text(PEER_PORT)),
      agentPort: Number(text(AGENT_PORT)),
    };
    if (candidate.name === "" || candidate.host === "" || !(candidate.peerPort > 0) || !(candidate.agentPort > 0)) {
      link.close(1008, "a gateway says its name, host and ports");
      return;
    }
    this.#link(this.#peer(candidate), link, request.headers);
  }

  /** The directory's list changed. */
  listed(candidates: Iterable<PeerCandidate>): void {
    if (this.#stopped) return;
    const listed = new Set<string>();
    for (const candidate of candidates) {
      if (candidate.name === this.#options.self.name) continue;
      listed.add(candidate.name);
      const peer = this.#peer(candidate);
      peer.listed = true;
      if (![...peer.links].some((link) => OUTBOUND.has(link))) this.#dial(peer);
    }
    for (const [name, peer] of this.#peers) {
      if (listed.has(name)) continue;
      peer.listed = false;
      peer.cancelRedial?.();
      this.#forgetIfGone(name, peer);
    }
  }

  #peer(candidate: PeerCandidate): Peer {
    let peer = this.#peers.get(candidate.name);
    if (!peer) {
      peer = {
        candidate,
        listed: false,
        state: "serving",
        links: new Set(),
        dialling: false,
        failures: 0,
        cancelRedial: undefined,
        pool: undefined,
        poolOrigin: undefined,
      };
      this.#peers.set(candidate.name, peer);
    }
    // The directory knows the node as well; a gateway knows its own address best.
    const { nodeName } = { ...peer.candidate, ...candidate };
    peer.candidate = { ...candidate, ...(nodeName === undefined ? {} : { nodeName }) };
    return peer;
  }

  /** What a gateway says of itself when it dials. */
  #headers(): Record<string, string> {
    const { self, secret, greeting } = this.#options;
    return {
      authorization: `Bearer ${secret}`,
      [PEER_NAME]: self.name,
      [PEER_HOST]: self.host,
      [PEER_PORT]: String(self.peerPort),
      [AGENT_PORT]: String(self.agentPort),
      ...greeting(),
    };
  }

  #dial(peer: Peer): void {
    if (peer.dialling || this.#stopped) return;
    peer.dialling = true;
    peer.cancelRedial?.();
    const { tried, log, clock } = this.#options;
    const { host, peerPort, name } = peer.candidate;
    const link = new WebSocket(`ws://${authority(host, peerPort)}${PEER_PATH}`, {
      headers: this.#headers(),
      perMessageDeflate: false,
      handshakeTimeout: CONNECT_MS,
      maxPayload: MAX_PEER_MESSAGE,
    });
    let answer: IncomingMessage["headers"] = {};
    link.on("upgrade", (response) => {
      answer = response.headers;
    });
    link.on("open", () => {
      // Addresses are used again: the gateway there may be another by now.
      if (answer[PEER_NAME] !== name) {
        link.terminate();
        return;
      }
      peer.failures = 0;
      OUTBOUND.add(link);
      this.#link(peer, link, answer);
      tried(name);
    });
    link.on("error", (err) => {
      if (peer.failures === 0) log.info({ err, peer: name }, "a gateway cannot be reached; trying again");
    });
    link.on("close", () => {
      peer.dialling = false;
      peer.failures++;
      tried(name);
      if (!peer.listed) this.#forgetIfGone(name, peer);
      if (this.#stopped || !peer.listed) return;
      const pause = Math.min(MAX_REDIAL_MS, REDIAL_MS * 2 ** Math.min(peer.failures - 1, 10));
      peer.cancelRedial = clock.setTimeout(() => this.#dial(peer), pause);
    });
  }

  #link(peer: Peer, link: WebSocket, headers: IncomingMessage["headers"]): void {
    const { log, suspects, linked, unlinked, message } = this.#options;
    const { name } = peer.candidate;
    let silent = false;
    const liveness = this.#pings.add(
      () => link.ping(),
      () => {
        silent = true;
        link.terminate();
      },
    );
    const greeting = greetingOf(headers);
    // Where there is a connection already, what was said over it may be newer.
    if (peer.links.size === 0) peer.state = greeting.state;
    peer.links.add(link);
    link.on("error", (err) => log.debug({ err, peer: name }, "a connection to a gateway failed"));
    link.on("ping", () => liveness.seen());
    link.on("pong", () => liveness.seen());
    link.on("message", (data) => {
      liveness.seen();
      message(peer, String(data));
    });
    link.on("close", () => {
      liveness.remove();
      peer.links.delete(link);
      if (silent) suspects.suspect(peer.candidate.nodeName);
      if (peer.links.size === 0) {
        log.info({ peer: name, silent, state: peer.state }, "a gateway is gone");
        // What was sent to it fails now instead of never.
        void peer.pool?.destroy();
        peer.pool = undefined;
        peer.poolOrigin = undefined;
      }
      unlinked(peer);
      this.#forgetIfGone(name, peer);
    });
    suspects.clear(peer.candidate.nodeName);
    linked(peer, greeting.epoch);
  }

  #forgetIfGone(name: string, peer: Peer): void {
    if (!peer.listed && peer.links.size === 0 && !peer.dialling) this.#peers.delete(name);
  }
}

/** Host and port as in a URL. */
export function authority(host: string, port: number): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Connections that this gateway dialled. */
const OUTBOUND = new WeakSet<WebSocket>();
