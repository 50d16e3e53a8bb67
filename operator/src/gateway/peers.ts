import type { IncomingMessage } from "node:http";
import type { Pool } from "undici";
import type { WebSocket } from "ws";
import type { Member } from "../api/environment-protocol.ts";
import { owner, rank } from "../domain/rendezvous.ts";
import type { Clock } from "../kube/clock.ts";
import type { Logger } from "../telemetry/log.ts";
import { PeerCalls, type PeerHandler } from "./peer-calls.ts";
import type { PeerDirectory } from "./peer-directory.ts";
import { authority, type Peer, PeerLinks, type Self } from "./peer-links.ts";
import {
  type Answer,
  type Ask,
  decodePeerMessage,
  encodePeerMessage,
  PEER_EPOCH,
  PEER_STATE,
  type PeerMessage,
  type PeerState,
  type PeerView,
  type RequestType,
} from "./peer-messages.ts";
import type { SuspectNodes } from "./suspect-nodes.ts";

export { PEER_NAME, PEER_PATH, type Self } from "./peer-links.ts";

/** A new gateway waits so long for the others before it believes itself alone. */
const SETTLE_MS = 3_000;
/** Gateways that an agent dials at most. */
const MAX_MEMBERS = 3;
const ANSWER_MS = 1_000;
/** An epoch that only agents have told of is waited for so long to be told by a gateway that lives. */
const HEARSAY_MS = 500;
/** Agents run beside user code: what they make up must not have the gateways number their views anew all the time. */
const HEARSAY_PAUSE_MS = 60_000;

export interface PeersOptions {
  self: Self;
  secret: string;
  directory: PeerDirectory;
  suspects: SuspectNodes;
  clock: Clock;
  log: Logger;
}

/**
 * The other gateways, and which of them live: each two keep a connection in each direction, and whoever has none is dead. Says
 * who owns what. Agents hear of the living ones.
 *
 * Each gateway numbers its views of who lives: with every change it takes a number, the epoch, that is larger than any it has heard
 * of, so that of two gateways the one that saw the later change has the larger one.
 */
export class Peers {
  readonly #options: PeersOptions;
  readonly #links: PeerLinks;
  readonly #calls: PeerCalls;
  readonly #changed = new Set<(epoch: number) => void>();
  readonly #lost = new Set<(name: string) => void>();
  #alive: readonly string[];
  #state: PeerState = "joining";
  #epoch: number;
  /** Largest epoch that another gateway has said. */
  #heard = 0;
  #hearsay = 0;
  #hearsayTakenAt = Number.NEGATIVE_INFINITY;
  #cancelHearsay: (() => void) | undefined;
  /** Listed gateways that have answered, or have not, at least once. */
  readonly #tried = new Set<string>();
  readonly #onTried = new Set<() => void>();

  constructor(options: PeersOptions) {
    this.#options = options;
    const { self, secret, suspects, clock, log, directory } = options;
    this.#alive = [self.name];
    this.#epoch = Math.floor(clock.now());
    this.#calls = new PeerCalls(clock, log);
    this.#links = new PeerLinks({
      self,
      secret,
      suspects,
      clock,
      log,
      greeting: () => this.greeting(),
      linked: (peer, epoch) => this.#linked(peer, epoch),
      unlinked: (peer) => this.#unlinked(peer),
      message: (peer, data) => this.#message(peer, data),
      tried: (name) => this.#wasTried(name),
    });
    directory.subscribe(() => this.#listed());
  }

  /**
   * Begins to look for the others, and joins them when those that are listed have answered, or have had the time to.
   * @param known when what is there to be owned is known: before, this gateway would take what it has not heard of for gone
   */
  async start(known: Promise<unknown> = Promise.resolve()): Promise<void> {
    const { directory, clock } = this.#options;
    this.#links.start();
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
    await known;
    if (this.#state === "joining") this.#become("serving");
  }

  /** Whether it is known who is there and what there is: until then this gateway owns nothing. */
  get joined(): boolean {
    return this.#state !== "joining";
  }

  /** Number of this gateway's view of who lives. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Names of the gateways that live, this one included, sorted. */
  get alive(): readonly string[] {
    return this.#alive;
  }

  /** Names of all others that are connected, those included that own nothing yet or any more. */
  connected(): string[] {
    return [...this.#links.all()].filter(({ links }) => links.size > 0).map(({ candidate }) => candidate.name);
  }

  /** Gives up what this gateway owns: the others take it over at once. */
  leave(): void {
    this.#become("leaving");
  }

  async stop(): Promise<void> {
    this.#cancelHearsay?.();
    await this.#options.directory.stop();
    await this.#links.stop();
  }

  /** How many others live. */
  get count(): number {
    return this.#alive.filter((name) => !this.isSelf(name)).length;
  }

  /** Calls back with the new epoch when other gateways live than before. */
  subscribe(changed: (epoch: number) => void): void {
    this.#changed.add(changed);
  }

  /** Calls back when the last connection to a gateway has ended. */
  onLost(lost: (name: string) => void): void {
    this.#lost.add(lost);
  }

  /** The gateway that owns a key. */
  ownerOf(key: string): string {
    return owner(this.#alive, key) ?? this.#options.self.name;
  }

  /** Whether this gateway decides about a key. */
  owns(key: string): boolean {
    return this.joined && this.isSelf(this.ownerOf(key));
  }

  isSelf(name: string): boolean {
    return name === this.#options.self.name;
  }

  /** Connections for requests to a living gateway; absent when it is gone. */
  pool(name: string): Pool | undefined {
    return this.#links.pool(name);
  }

  /** The gateways that agents of a function should dial: its owner, and those that own it after that one. */
  membersFor(key: string): Member[] {
    return rank(this.#alive, key)
      .slice(0, MAX_MEMBERS)
      .map((name) => ({ name, address: this.#agentAddress(name) }));
  }

  /** A gateway that lives, as agents dial it. */
  member(name: string): Member | undefined {
    return this.#alive.includes(name) ? { name, address: this.#agentAddress(name) } : undefined;
  }

  /**
   * An agent knows of an epoch. Where no gateway that lives has said one so large, all of them have started with clocks behind, and
   * agents would refuse them: then a larger one is taken. What another gateway is about to say itself is left to it, since two that
   * outbid each other on hearsay would never end.
   */
  heard(epoch: number): void {
    if (epoch <= Math.max(this.#epoch, this.#heard, this.#hearsay)) return;
    this.#hearsay = epoch;
    const { clock } = this.#options;
    const wait = Math.max(HEARSAY_MS, this.#hearsayTakenAt + HEARSAY_PAUSE_MS - clock.monotonic());
    this.#cancelHearsay ??= clock.setTimeout(() => {
      this.#cancelHearsay = undefined;
      if (this.#hearsay <= Math.max(this.#epoch, this.#heard)) return;
      this.#heard = this.#hearsay;
      this.#hearsayTakenAt = clock.monotonic();
      this.#newEpoch();
    }, wait);
  }

  /** Asks another gateway; {@link PeerCalls.request} says when it fails. */
  request<T extends RequestType>(name: string, what: T, ask: Ask<T>, timeoutMs = ANSWER_MS): Promise<Answer<T>> {
    return this.#calls.request(name, what, ask, timeoutMs, (message) => this.#send(name, message));
  }

  /** Answers what other gateways ask. */
  onRequest<T extends RequestType>(what: T, handler: PeerHandler<T>): void {
    this.#calls.handle(what, handler);
  }

  /**
   * Asks the other gateways, one after the other, to retire an idle environment.
   * @param namespace only one of this namespace helps
   * @returns whether one did
   */
  async askRoom(namespace?: string): Promise<boolean> {
    for (const name of this.#alive) {
      if (this.isSelf(name)) continue;
      const answer = await this.request(name, "room", namespace === undefined ? {} : { namespace }).catch(() => undefined);
      if (answer?.given) return true;
    }
    return false;
  }

  /** What is done when another gateway asks for room: true when an idle environment was retired. */
  onRoomAsked(giveUp: (namespace?: string) => boolean): void {
    this.onRequest("room", (_, { namespace }) => ({ given: giveUp(namespace) }));
  }

  /** How things are here, as headers of a dial and of the answer to one. */
  greeting(): Record<string, string> {
    return { [PEER_EPOCH]: String(this.#epoch), [PEER_STATE]: this.#state };
  }

  /** Takes a connection that another gateway dialled; it has shown the secret. */
  accept(link: WebSocket, request: IncomingMessage): void {
    this.#links.accept(link, request);
  }

  #agentAddress(name: string): string {
    const { self } = this.#options;
    const { host, agentPort } = this.isSelf(name) ? self : (this.#links.get(name)?.candidate ?? self);
    return authority(host, agentPort);
  }

  #listed(): void {
    this.#links.listed(this.#options.directory.candidates());
    for (const name of this.#tried) if (!this.#links.get(name)) this.#tried.delete(name);
  }

  #linked(peer: Peer, epoch: number): void {
    this.#heard = Math.max(this.#heard, epoch);
    this.#update();
    this.#tell(peer);
  }

  #unlinked(peer: Peer): void {
    const { name } = peer.candidate;
    if (peer.links.size > 0) {
      // What was said last may have been lost with that connection.
      this.#tell(peer);
      return;
    }
    this.#calls.lost(name);
    this.#update();
    for (const lost of this.#lost) lost(name);
  }

  #message(peer: Peer, data: string): void {
    const message = decodePeerMessage(data);
    if (!message) return;
    const { name } = peer.candidate;
    if (message.type !== "view") {
      this.#calls.receive(name, message, (reply) => this.#send(name, reply));
      return;
    }
    this.#heard = Math.max(this.#heard, message.epoch);
    peer.state = message.state;
    if (!this.#update()) this.#agree(message);
  }

  /**
   * Two that see the same have one number for it, the larger: agents of pools, who know no owner, would take assignments from one of them
   * only.
   */
  #agree({ epoch, members }: PeerView): void {
    if (epoch <= this.#epoch || members?.join() !== this.#alive.join()) return;
    this.#epoch = epoch;
    for (const changed of this.#changed) changed(epoch);
  }

  #send(name: string, message: PeerMessage): boolean {
    return this.#links.send(name, encodePeerMessage(message));
  }

  #tell(peer: Peer): void {
    this.#send(peer.candidate.name, { type: "view", epoch: this.#epoch, state: this.#state, members: [...this.#alive] });
  }

  #become(state: PeerState): void {
    const joins = !this.joined && state === "serving";
    this.#state = state;
    if (this.#update()) return;
    this.#tellAll();
    // Alone, it was named as the owner of everything before.
    if (joins) for (const changed of this.#changed) changed(this.#epoch);
  }

  #tellAll(): void {
    for (const peer of this.#links.all()) this.#tell(peer);
  }

  #wasTried(name: string): void {
    this.#tried.add(name);
    for (const told of [...this.#onTried]) told();
  }

  #everyoneTried(): boolean {
    return [...this.#links.all()].every(({ listed, candidate }) => !listed || this.#tried.has(candidate.name));
  }

  /** Looks who lives; true when that changed. */
  #update(): boolean {
    const alive = [...this.#links.all()]
      .filter(({ links, state }) => links.size > 0 && state === "serving")
      .map(({ candidate }) => candidate.name);
    // Somebody owns everything, and if it is the one that has just come or is going.
    if (this.#state === "serving" || alive.length === 0) alive.push(this.#options.self.name);
    alive.sort();
    if (alive.join() === this.#alive.join()) return false;
    this.#alive = alive;
    this.#newEpoch();
    return true;
  }

  #newEpoch(): void {
    const { clock, log } = this.#options;
    this.#epoch = Math.max(Math.floor(clock.now()), Math.max(this.#epoch, this.#heard) + 1);
    log.info({ gateways: this.#alive, epoch: this.#epoch }, "the gateways that are alive");
    this.#tellAll();
    for (const changed of this.#changed) changed(this.#epoch);
  }
}
