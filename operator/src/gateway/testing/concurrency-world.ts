import { owner } from "../../domain/rendezvous.ts";
import type { Clock } from "../../kube/clock.ts";
import { AccountConcurrency, type ConcurrencyPeers } from "../account-concurrency.ts";
import type { FunctionEntry } from "../function-entry.ts";
import type { PeerHandler } from "../peer-calls.ts";
import { type Answer, type Ask, answerOf, askOf, PeerRefusal, type RequestType } from "../peer-messages.ts";

/** Numbers that look random and are the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  // mulberry32
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Resolves when all that waited for no time to pass has been done. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

interface Due {
  at: number;
  order: number;
  what: () => void;
}

/** Time that passes as it is told to, and what is to happen in it. */
class ManualTime implements Clock {
  #now = 0;
  #last = 0;
  readonly #due: Due[] = [];

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  setTimeout(what: () => void, ms: number): () => void {
    const entry = { at: this.#now + Math.max(0, ms), order: ++this.#last, what };
    this.#due.push(entry);
    return () => {
      const index = this.#due.indexOf(entry);
      if (index >= 0) this.#due.splice(index, 1);
    };
  }

  /** Lets time pass, one thing after the other, with all that follows from it at once. */
  async pass(ms: number, after: () => void): Promise<void> {
    const until = this.#now + ms;
    await settled();
    after();
    for (let next = this.#next(until); next; next = this.#next(until)) {
      this.#now = Math.max(this.#now, next.at);
      this.#due.splice(this.#due.indexOf(next), 1);
      next.what();
      await settled();
      after();
    }
    this.#now = until;
  }

  #next(until: number): Due | undefined {
    let first: Due | undefined;
    for (const entry of this.#due) {
      if (entry.at > until) continue;
      if (!first || entry.at < first.at || (entry.at === first.at && entry.order < first.order)) first = entry;
    }
    return first;
  }
}

/** How messages fare, as a real network and busy processes have it. */
export interface Weather {
  /** Of a message, milliseconds at most. */
  delayMs: number;
  /** Share of the messages that are lost, as with a connection that breaks while another one stands. */
  loss: number;
  /** Until a gateway notices that another one came, goes or died, milliseconds at most. */
  noticeMs: number;
}

type AnyHandler = (from: string, ask: unknown) => unknown;

/** A gateway as far as it concerns concurrency. */
export class Node implements ConcurrencyPeers {
  readonly concurrency: AccountConcurrency;
  alive: string[];
  epoch: number;
  dead = false;
  leaving = false;
  /** Until then it answers nothing, though its connections stand and what it began runs. */
  hungUntil = 0;
  readonly linked = new Set<string>();
  readonly #handlers = new Map<string, AnyHandler>();
  readonly #lost: ((name: string) => void)[] = [];
  readonly name: string;
  readonly #world: ConcurrencyWorld;

  constructor(world: ConcurrencyWorld, name: string, alive: string[]) {
    this.#world = world;
    this.name = name;
    this.alive = alive.toSorted();
    for (const other of alive) if (other !== name) this.linked.add(other);
    this.epoch = world.nextEpoch();
    this.concurrency = new AccountConcurrency({ limit: world.limit, clock: world.clockOf(this) });
    this.concurrency.connectTo(this);
  }

  connected(): string[] {
    return [...this.linked];
  }

  ownerOf(key: string): string {
    return owner(this.alive, key) ?? this.name;
  }

  isSelf(name: string): boolean {
    return name === this.name;
  }

  onRequest<T extends RequestType>(what: T, handler: PeerHandler<T>): void {
    this.#handlers.set(what, (from, ask) => handler(from, ask as Ask<T>));
  }

  onLost(lost: (name: string) => void): void {
    this.#lost.push(lost);
  }

  async request<T extends RequestType>(name: string, what: T, ask: Ask<T>, timeoutMs = 1_000): Promise<Answer<T>> {
    const world = this.#world;
    const sent = askOf(what, JSON.parse(JSON.stringify(ask)));
    if (sent === undefined) throw new Error("the question is not as it has to be");
    const answer = await new Promise<unknown>((resolve, reject) => {
      if (!this.linked.has(name)) reject(new Error(`gateway ${name} is not connected`));
      world.clockOf(this).setTimeout(() => reject(new Error("no answer in time")), timeoutMs);
      world.deliver(this.name, name, () => {
        const node = world.nodes.get(name);
        if (!node) return;
        const handled = Promise.resolve().then(() => node.#handlers.get(what)?.(this.name, sent));
        handled.then(
          (value) => world.deliver(name, this.name, () => resolve(JSON.parse(JSON.stringify(value)))),
          (error: unknown) => world.deliver(name, this.name, () => reject(new PeerRefusal(String(error)))),
        );
      });
    });
    const valid = answerOf(what, answer);
    if (valid === undefined) throw new Error("the answer is not as it has to be");
    return valid;
  }

  /** It notices that other gateways live than it knew, and does what follows. */
  see(change: { came?: string; left?: string; lost?: string }): void {
    const { came, left, lost } = change;
    if (came !== undefined) this.linked.add(came);
    const gone = lost ?? left;
    const alive = this.alive.filter((name) => name !== gone);
    if (came !== undefined && !alive.includes(came)) alive.push(came);
    if (alive.length === 0) alive.push(this.name);
    alive.sort();
    if (lost !== undefined) this.linked.delete(lost);
    if (alive.join() !== this.alive.join()) {
      this.alive = alive;
      this.epoch = this.#world.nextEpoch();
      this.#world.ownersChanged(this);
    }
    if (lost !== undefined) for (const told of this.#lost) told(lost);
  }
}

interface Execution {
  key: string;
  /** Who accepted it. */
  node: Node;
}

/**
 * Gateways that share an account, and the executions that they let begin: with the parts around concurrency as they are by the design.
 * An agent runs nothing for a gateway when another one with a later view owns the function, and an owner hears from agents at once what
 * former owners still run.
 */
export class ConcurrencyWorld {
  readonly time = new ManualTime();
  readonly nodes = new Map<string, Node>();
  readonly limit: number;
  readonly #random: () => number;
  readonly #functions: string[];
  readonly #running = new Set<Execution>();
  /** By function: the latest view that agents know of. */
  readonly #claims = new Map<string, { epoch: number; name: string }>();
  readonly #lossesInARow = new Map<string, number>();
  #epoch = 0;
  #named = 0;
  weather: Weather;
  /** Executions at once, at most, so far. */
  most = 0;
  refused = 0;
  begun = 0;

  constructor(options: { seed: number; limit: number; functions: number; gateways: number; weather: Weather }) {
    this.#random = randomOf(options.seed);
    this.limit = options.limit;
    this.weather = options.weather;
    this.#functions = Array.from({ length: options.functions }, (_, i) => `team/f${i}`);
    const names = Array.from({ length: options.gateways }, () => `g${this.#named++}`);
    for (const name of names) this.nodes.set(name, new Node(this, name, names));
    for (const node of this.nodes.values()) this.#claim(node);
  }

  get running(): number {
    return this.#running.size;
  }

  nextEpoch(): number {
    return ++this.#epoch;
  }

  /** A gateway's timers end with it. */
  clockOf(node: Node): Clock {
    const { time } = this;
    return {
      now: () => time.now(),
      monotonic: () => time.monotonic(),
      setTimeout: (what, ms) => time.setTimeout(() => !node.dead && what(), ms),
    };
  }

  deliver(from: string, to: string, what: () => void): void {
    const pair = `${from} ${to}`;
    const losses = this.#lossesInARow.get(pair) ?? 0;
    // Connections are made again: not everything is lost for ever.
    if (this.#random() < this.weather.loss && losses < 2) {
      this.#lossesInARow.set(pair, losses + 1);
      return;
    }
    this.#lossesInARow.set(pair, 0);
    const hungUntil = Math.max(this.nodes.get(from)?.hungUntil ?? 0, this.nodes.get(to)?.hungUntil ?? 0);
    const delayMs = Math.max(this.#random() * this.weather.delayMs, hungUntil - this.time.now());
    this.time.setTimeout(() => {
      if (this.nodes.get(to)?.dead === false && this.nodes.get(to)?.linked.has(from)) what();
    }, delayMs);
  }

  /** A new gateway; it has connected to all before it owns anything. */
  join(): void {
    const living = [...this.nodes.values()].filter(({ dead, leaving }) => !dead && !leaving).map(({ name }) => name);
    const name = `g${this.#named++}`;
    const node = new Node(this, name, [...living, name]);
    this.nodes.set(name, node);
    this.ownersChanged(node);
    this.#noticed(name, { came: name });
  }

  /** One dies: what it began runs on in its environments. */
  kill(choice: number): void {
    const node = this.#pick(choice);
    if (!node) return;
    node.dead = true;
    node.concurrency.stop();
    this.#noticed(node.name, { lost: node.name });
  }

  /** One is so busy that it answers nothing, for almost as long as it may before the others take it for dead. */
  hang(choice: number): void {
    const node = this.#pick(choice, false);
    if (node) node.hungUntil = this.time.now() + 2_900;
  }

  /** One goes in order: it owns nothing from now on, and finishes what it has. */
  leave(choice: number): void {
    const node = this.#pick(choice);
    if (!node) return;
    node.leaving = true;
    node.see({ left: node.name });
    this.#noticed(node.name, { left: node.name });
    this.time.setTimeout(() => {
      if (node.dead) return;
      node.dead = true;
      node.concurrency.stop();
      this.#noticed(node.name, { lost: node.name });
    }, 3_000);
  }

  /** An event comes to the function's owner, as one of the gateways sees it. */
  invoke(choice: number, durationMs: number, at = choice): void {
    const key = this.#functions[choice % this.#functions.length] ?? "";
    const node = this.nodes.get(this.#pick(at, false)?.ownerOf(key) ?? "");
    if (!node || node.dead || node.ownerOf(key) !== node.name) return;
    void this.acquire(node, key).then((release) => {
      if (!release) return;
      const claim = this.#claims.get(key);
      if (node.dead || node.ownerOf(key) !== node.name || (claim && claim.name !== node.name && claim.epoch > node.epoch)) {
        release();
        return;
      }
      this.#begin({ key, node }, durationMs, release);
    });
  }

  /** Asks one gateway for one execution. */
  async acquire(node: Node, key: string): Promise<(() => void) | undefined> {
    try {
      const acquired = node.concurrency.acquire(entryOf(key), 0);
      return acquired instanceof Promise ? await acquired : acquired;
    } catch {
      this.refused++;
      return undefined;
    }
  }

  /** A gateway tells agents what it owns, and counts what others run of it. */
  ownersChanged(node: Node): void {
    this.#claim(node);
    for (const key of this.#functions) this.#charge(node, key);
    node.concurrency.ownersChanged();
  }

  living(): Node[] {
    return [...this.nodes.values()].filter(({ dead, leaving }) => !dead && !leaving);
  }

  #pick(choice: number, needsAnother = true): Node | undefined {
    const living = this.living();
    return living.length <= (needsAnother ? 1 : 0) ? undefined : living[choice % living.length];
  }

  #noticed(about: string, change: { came?: string; left?: string; lost?: string }): void {
    for (const node of this.nodes.values()) {
      if (node.name === about || node.dead) continue;
      this.time.setTimeout(() => {
        if (node.dead) return;
        // Who was gone before it was noticed is never seen; who was leaving by then is seen as such.
        const came = change.came === undefined ? undefined : this.nodes.get(change.came);
        if (came?.dead) return;
        if (came?.leaving) node.linked.add(came.name);
        else node.see(change);
      }, this.#random() * this.weather.noticeMs);
    }
  }

  #claim(node: Node): void {
    for (const key of this.#functions) {
      const claim = this.#claims.get(key);
      if (node.ownerOf(key) === node.name && (claim?.epoch ?? 0) < node.epoch)
        this.#claims.set(key, { epoch: node.epoch, name: node.name });
    }
  }

  #begin(execution: Execution, durationMs: number, release: () => void): void {
    this.#running.add(execution);
    this.begun++;
    this.most = Math.max(this.most, this.#running.size);
    this.#chargeAll(execution.key);
    this.time.setTimeout(() => {
      this.#running.delete(execution);
      if (!execution.node.dead) release();
      this.#chargeAll(execution.key);
    }, durationMs);
  }

  #chargeAll(key: string): void {
    for (const node of this.nodes.values()) if (!node.dead) this.#charge(node, key);
  }

  #charge(node: Node, key: string): void {
    const owned = node.ownerOf(key) === node.name;
    const foreign = owned ? [...this.#running].filter((execution) => execution.key === key && execution.node !== node).length : 0;
    node.concurrency.charge(key, foreign);
  }
}

function entryOf(key: string): FunctionEntry {
  const functionName = key.slice(key.indexOf("/") + 1);
  return {
    key,
    namespace: "team",
    name: functionName,
    functionName,
    uid: functionName,
    created: "",
    state: { name: "Active" },
    versions: new Map(),
    pending: new Map(),
    aliases: new Map(),
  };
}
