import type { Clock } from "../kube/clock.ts";
import type { Concurrency } from "./admission.ts";
import { Dispatcher, type DispatcherDeps } from "./dispatcher.ts";
import type { FunctionEntry } from "./function-entry.ts";
import type { FunctionRegistry } from "./function-registry.ts";
import type { Invocation } from "./invocation.ts";
import { Room, type RoomDeps } from "./room.ts";

/** How often time is looked at. */
const TICK_MS = 250;
/** So long a new owner waits for environments that are not heard of; their connections are made anew within it. */
const SETTLE_MS = 2_000;

export interface DispatchersOptions {
  registry: FunctionRegistry;
  clock: Clock;
  concurrency: Concurrency & {
    /** Takes note of what a function has reserved; without an entry it is gone. */
    update(key: string, entry: FunctionEntry | undefined): void;
  };
  /** Whether this gateway owns a function, by its key. */
  isOwner(key: string): boolean;
  /** What a dispatcher needs, but for what is made here. */
  deps: Omit<DispatcherDeps, "makeRoom" | "clock" | "concurrency">;
  askPeers: RoomDeps["askPeers"];
  /** Called at each tick, after the dispatchers. */
  onTick(now: number): void;
}

/** The dispatchers of all functions: made when needed, kept current with the functions and with ownership. */
export class Dispatchers {
  readonly #options: DispatchersOptions;
  readonly #byKey = new Map<string, Dispatcher>();
  /** Of deleted functions, while their last events run. */
  readonly #closing = new Set<Dispatcher>();
  readonly #room: Room;
  /** Until when what changed its owner last is waited for, monotonic milliseconds. */
  #settleUntil: number;
  #cancelTick: (() => void) | undefined;

  constructor(options: DispatchersOptions) {
    this.#options = options;
    const { askPeers, deps } = options;
    this.#room = new Room(() => this.#byKey.values(), { askPeers, pools: deps.pools });
    this.#settleUntil = options.clock.monotonic() + SETTLE_MS;
    options.registry.subscribe((key, entry) => this.#changed(key, entry));
  }

  start(): void {
    this.#cancelTick = this.#options.clock.setTimeout(() => {
      this.#tick();
      this.start();
    }, TICK_MS);
  }

  stop(): void {
    this.#cancelTick?.();
  }

  /** The dispatcher of a function, made when it is not there. */
  of(entry: FunctionEntry): Dispatcher {
    let dispatcher = this.#byKey.get(entry.key);
    if (!dispatcher) {
      const { clock, concurrency, isOwner, deps } = this.#options;
      const makeRoom = (namespace?: string) => this.#room.make(namespace);
      dispatcher = new Dispatcher(entry, isOwner(entry.key), this.#settleUntil, { ...deps, clock, concurrency, makeRoom });
      this.#byKey.set(entry.key, dispatcher);
    }
    return dispatcher;
  }

  submit(entry: FunctionEntry, invocation: Invocation): void {
    this.of(entry).submit(invocation);
  }

  /** Events accepted and not finished. */
  get inFlight(): number {
    let sum = 0;
    for (const dispatcher of this.#byKey.values()) sum += dispatcher.inFlight;
    return sum;
  }

  /** The gateways changed: some functions have another owner now. */
  ownersChanged(): void {
    const { clock, isOwner } = this.#options;
    this.#settleUntil = clock.monotonic() + SETTLE_MS;
    for (const dispatcher of this.#byKey.values()) dispatcher.setOwned(isOwner(dispatcher.entry.key), this.#settleUntil);
  }

  /** Another gateway needs room: see {@link Room.giveUp}. */
  giveUp(namespace?: string): boolean {
    return this.#room.giveUp(namespace);
  }

  #changed(key: string, entry: FunctionEntry | undefined): void {
    this.#options.concurrency.update(key, entry);
    const dispatcher = this.#byKey.get(key);
    if (!dispatcher) return;
    if (entry?.uid === dispatcher.entry.uid) {
      dispatcher.update(entry);
      return;
    }
    // Deleted, or another Function of the same name took its place.
    this.#byKey.delete(key);
    this.#closing.add(dispatcher);
    dispatcher.close();
  }

  #tick(): void {
    const now = this.#options.clock.monotonic();
    for (const dispatcher of this.#byKey.values()) dispatcher.tick(now);
    for (const dispatcher of this.#closing) {
      dispatcher.tick(now);
      if (dispatcher.isEmpty) this.#forget(dispatcher);
    }
    this.#options.onTick(now);
  }

  /** Nothing runs any more of a deleted function, so nothing is measured of it either. */
  #forget(dispatcher: Dispatcher): void {
    const { key, namespace, functionName } = dispatcher.entry;
    this.#closing.delete(dispatcher);
    // Another one has its name by now.
    if (this.#options.registry.byKey(key)) return;
    this.#options.deps.metrics.forgetFunction(namespace, functionName);
  }
}
