import type { IncomingMessage } from "node:http";
import { Pool } from "undici";
import { WebSocket } from "ws";
import type { Member } from "../api/environment-protocol.ts";
import { owner, rank } from "../domain/rendezvous.ts";
import type { Clock } from "../kube/clock.ts";
import type { Logger } from "../telemetry/log.ts";
import type { PeerCandidate, PeerDirectory } from "./peer-directory.ts";
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
const SILENT_MS = 3_000;
const REDIAL_MS = 200;
const MAX_REDIAL_MS = 2_000;
const CONNECT_MS = 2_000;
/** A new gateway waits so long for the others before it believes itself alone. */
const SETTLE_MS = 3_000;
/** Gateways that an agent dials at most. */
const MAX_MEMBERS = 3;
const LEAVING = "leaving";

/** This gateway, as the others reach it. */
export interface Self {
  name: string;
  host: string;
  peerPort: number;
  agentPort: number;
}

export interface PeersOptions {
  self: Self;
  secret: string;
  directory: PeerDirectory;
  suspects: SuspectNodes;
  clock: Clock;
  log: Logger;
}

interface Peer {
  candidate: PeerCandidate;
  /** Listed in the directory: dialled again and again. */
  listed: boolean;
  /** It said that it is going. It owns nothing any more, but finishes what it has. */
  leaving: boolean;
  links: Set<WebSocket>;
  dialling: boolean;
  failures: number;
  cancelRedial: (() => void) | undefined;
  pool: Pool | undefined;
  poolOrigin: string | undefined;
}

/**
 * The other gateways, and which of them live: each two keep a connection in each direction, and whoever has none is dead. Says
 * who owns what. Agents hear of the living ones.
 */
export class Peers {
  readonly #options: PeersOptions;
  readonly #peers = new Map<string, Peer>();
  readonly #pings: PingSweep;
  readonly #changed = new Set<() => void>();
  #alive: string[] = [];
  #leaving = false;
  #stopped = false;
  #settled = false;
  /** Listed gateways that have answered, or have not, at least once. */
  readonly #tried = new Set<string>();
  readonly #onTried = new Set<() => void>();

  constructor(options: PeersOptions) {
    this.#options = options;
    this.#pings = new PingSweep({ clock: options.clock, pingMs: PING_MS, silentMs: SILENT_MS });
    this.#alive = [options.self.name];
    options.directory.subscribe(() => this.#listed());
  }

  /** Begins to look for the others. Resolves when those that are listed have answered, or have had the time to. */
  async start(): Promise<void> {
    const { directory, clock } = this.#options;
    this.#pings.start();
    directory.start();
    await directory.synced();
    this.#listed();
    await new Promise<void>((resolve) => {
      const done = () => {
        if (!this.#everyoneTried()) return;
        cancel();
        this.#onTried.delete(done);
        resolve();
      };
      const cancel = clock.setTimeout(() => {
        this.#onTried.delete(done);
        resolve();
      }, SETTLE_MS);
      this.#onTried.add(done);
      done();
    });
    this.#settled = true;
  }

  /** Whether it is known who is there. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Gives up what this gateway owns: the others take it over at once. */
  leave(): void {
    this.#leaving = true;
    for (const peer of this.#peers.values()) for (const link of peer.links) link.send(LEAVING);
    this.#update();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#pings.stop();
    await this.#options.directory.stop();
    for (const peer of this.#peers.values()) {
      peer.cancelRedial?.();
      for (const link of peer.links) link.terminate();
      await peer.pool?.destroy();
    }
  }

  /** How many others live. */
  get count(): number {
    return this.#alive.filter((name) => name !== this.#options.self.name).length;
  }

  /** Calls back when other gateways live than before. */
  subscribe(changed: () => void): void {
    this.#changed.add(changed);
  }

  /** The gateway that owns a key. */
  ownerOf(key: string): string {
    return owner(this.#alive, key) ?? this.#options.self.name;
  }

  isSelf(name: string): boolean {
    return name === this.#options.self.name;
  }

  /** Connections for requests to a living gateway; absent when it is gone. */
  pool(name: string): Pool | undefined {
    const peer = this.#peers.get(name);
    if (!peer || peer.links.size === 0) return undefined;
    const { host, peerPort } = peer.candidate;
    const origin = `http://${host.includes(":") ? `[${host}]` : host}:${peerPort}`;
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

  /** The gateways that agents of a function should dial: its owner, and those that own it after that one. */
  membersFor(key: string): Member[] {
    return rank(this.#alive, key)
      .slice(0, MAX_MEMBERS)
      .map((name) => ({ name, address: this.#agentAddress(name) }));
  }

  #agentAddress(name: string): string {
    const { self } = this.#options;
    const { host, agentPort } = name === self.name ? self : (this.#peers.get(name)?.candidate ?? self);
    return `${host.includes(":") ? `[${host}]` : host}:${agentPort}`;
  }

  /** What a gateway says of itself when it dials. */
  #headers(): Record<string, string> {
    const { self, secret } = this.#options;
    return {
      authorization: `Bearer ${secret}`,
      [PEER_NAME]: self.name,
      [PEER_HOST]: self.host,
      [PEER_PORT]: String(self.peerPort),
      [AGENT_PORT]: String(self.agentPort),
    };
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
    this.#link(this.#peer(candidate), link);
  }

  #peer(candidate: PeerCandidate): Peer {
    let peer = this.#peers.get(candidate.name);
    if (!peer) {
      peer = {
        candidate,
        listed: false,
        leaving: false,
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

  #listed(): void {
    if (this.#stopped) return;
    const { directory, self } = this.#options;
    const listed = new Set<string>();
    for (const candidate of directory.candidates()) {
      if (candidate.name === self.name) continue;
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

  #dial(peer: Peer): void {
    if (peer.dialling || this.#stopped) return;
    peer.dialling = true;
    peer.cancelRedial?.();
    const { host, peerPort, name } = peer.candidate;
    const link = new WebSocket(`ws://${host.includes(":") ? `[${host}]` : host}:${peerPort}${PEER_PATH}`, {
      headers: this.#headers(),
      perMessageDeflate: false,
      handshakeTimeout: CONNECT_MS,
      maxPayload: 1024,
    });
    let other: string | undefined;
    link.on("upgrade", (response) => {
      other = String(response.headers[PEER_NAME] ?? "");
    });
    link.on("open", () => {
      // Addresses are used again: the gateway there may be another by now.
      if (other !== name) {
        link.terminate();
        return;
      }
      peer.failures = 0;
      OUTBOUND.add(link);
      this.#link(peer, link);
      this.#wasTried(name);
    });
    link.on("error", (err) => {
      if (peer.failures === 0) this.#options.log.info({ err, peer: name }, "a gateway cannot be reached; trying again");
    });
    link.on("close", () => {
      peer.dialling = false;
      peer.failures++;
      this.#wasTried(name);
      if (!peer.listed) this.#forgetIfGone(name, peer);
      if (this.#stopped || !peer.listed) return;
      const pause = Math.min(MAX_REDIAL_MS, REDIAL_MS * 2 ** Math.min(peer.failures - 1, 10));
      peer.cancelRedial = this.#options.clock.setTimeout(() => this.#dial(peer), pause);
    });
  }

  #link(peer: Peer, link: WebSocket): void {
    const { log, suspects } = this.#options;
    const { name } = peer.candidate;
    let silent = false;
    const liveness = this.#pings.add(
      () => link.ping(),
      () => {
        silent = true;
        link.terminate();
      },
    );
    peer.links.add(link);
    peer.leaving = false;
    if (this.#leaving) link.send(LEAVING);
    link.on("error", (err) => log.debug({ err, peer: name }, "a connection to a gateway failed"));
    link.on("ping", () => liveness.seen());
    link.on("pong", () => liveness.seen());
    link.on("message", (data) => {
      liveness.seen();
      if (String(data) !== LEAVING) return;
      peer.leaving = true;
      this.#update();
    });
    link.on("close", () => {
      liveness.remove();
      peer.links.delete(link);
      if (silent) suspects.suspect(peer.candidate.nodeName);
      if (peer.links.size > 0) return;
      log.info({ peer: name, silent, leaving: peer.leaving }, "a gateway is gone");
      // What was sent to it fails now instead of never.
      void peer.pool?.destroy();
      peer.pool = undefined;
      peer.poolOrigin = undefined;
      this.#update();
      this.#forgetIfGone(name, peer);
    });
    suspects.clear(peer.candidate.nodeName);
    this.#update();
  }

  #forgetIfGone(name: string, peer: Peer): void {
    if (!peer.listed && peer.links.size === 0 && !peer.dialling) this.#peers.delete(name);
  }

  #wasTried(name: string): void {
    this.#tried.add(name);
    for (const told of [...this.#onTried]) told();
  }

  #everyoneTried(): boolean {
    return [...this.#peers].every(([name, peer]) => !peer.listed || this.#tried.has(name));
  }

  #update(): void {
    const { self, log } = this.#options;
    const alive = [...this.#peers].filter(([, peer]) => peer.links.size > 0 && !peer.leaving).map(([name]) => name);
    if (!this.#leaving || alive.length === 0) alive.push(self.name);
    alive.sort();
    if (alive.join() === this.#alive.join()) return;
    this.#alive = alive;
    log.info({ gateways: alive }, "the gateways that are alive");
    for (const changed of this.#changed) changed();
  }
}

/** Connections that this gateway dialled. */
const OUTBOUND = new WeakSet<WebSocket>();
