import { keptReservations, type Reservation, unreservedLimit } from "../domain/concurrency.ts";
import { throttled } from "../domain/errors.ts";
import { requestRate, TokenBucket } from "../domain/rate-limit.ts";
import type { Clock } from "../kube/clock.ts";
import { AccountBlocks } from "./account-blocks.ts";
import type { LendingPeers } from "./account-lending.ts";
import type { FunctionEntry } from "./function-entry.ts";
import type { Answer, Ask } from "./peer-messages.ts";
import type { Peers } from "./peers.ts";

/** What was not used for so long goes back to who shares it out. */
const TICK_MS = 3_000;
/** A question of an account's owner waits so long for this gateway to see the same gateways alive. */
const SAME_VIEW_MS = 2_000;

/** What is needed of the other gateways. */
export type ConcurrencyPeers = LendingPeers & Pick<Peers, "onRequest" | "onLost">;

export interface AccountConcurrencyOptions {
  /** Executions of one account at once. */
  limit: number;
  clock: Clock;
}

interface Account {
  blocks: AccountBlocks;
  /** By function. */
  reservations: Map<string, Reservation>;
  /** Of whom the account can keep what they want; the others have a cap, and no guarantee. */
  kept: ReadonlySet<string>;
  reservedSum: number;
}

/** One function at this gateway. */
interface Share {
  account: Account;
  /** Executions of it that this gateway has accepted. */
  running: number;
  /** Those of its former owners. */
  foreign: number;
  /** Who does not own it counts nothing of it: the owner charges that. */
  owned: boolean;
  /** What is reserved for it counts in no account's unreserved part. */
  reserved: number | undefined;
  /** The function was deleted. */
  gone: boolean;
  rate: TokenBucket | undefined;
  /** Concurrency that the rate was made for. */
  ratedFor: number;
}

/**
 * Concurrent executions per account, over all gateways. What functions have reserved is theirs alone, and the owner of a function
 * decides on it; the others share what is left, which the account's owner lends to the gateways in blocks.
 *
 * An execution counts at the gateway that owns its function. When that becomes another one, it charges what it finds running, and
 * who owned the function before counts its executions no more.
 */
export class AccountConcurrency {
  readonly #options: AccountConcurrencyOptions;
  readonly #accounts = new Map<string, Account>();
  readonly #shares = new Map<string, Share>();
  #peers: ConcurrencyPeers | undefined;
  #term = 0;
  /** Questions that wait for this gateway to see what the asker sees. */
  readonly #looking = new Set<() => void>();
  #cancelTick: (() => void) | undefined;

  /** Alone, as long as it is not connected to others. */
  constructor(options: AccountConcurrencyOptions) {
    this.#options = options;
  }

  /** Begins to share with the other gateways, before anything is counted. */
  connectTo(peers: ConcurrencyPeers): void {
    this.#peers = peers;
    peers.onRequest("hold", (from, ask) => this.#hold(peers, from, ask));
    peers.onRequest("borrow", (from, ask) => this.#account(ask.account).blocks.borrow(from, ask));
    peers.onRequest("recall", (from, ask) => this.#account(ask.account).blocks.recall(from, ask));
    peers.onLost((name) => {
      for (const { blocks } of this.#accounts.values()) blocks.lost(name);
    });
    this.#tick();
  }

  stop(): void {
    this.#cancelTick?.();
  }

  /** The gateways have changed, and dispatchers have charged what they found. */
  ownersChanged(): void {
    for (const { blocks } of this.#accounts.values()) blocks.turn();
    for (const [key, share] of this.#shares) change(share, { owned: this.#owns(key) });
    for (const { blocks } of this.#accounts.values()) blocks.turned();
    for (const look of [...this.#looking]) look();
  }

  /** Takes note of what a function has reserved; without an entry it is gone. */
  update(key: string, entry: FunctionEntry | undefined): void {
    const account = this.#account(accountOf(key));
    const reserved = entry?.reservedConcurrentExecutions;
    const share = this.#shares.get(key);
    if (share) share.gone = entry === undefined;
    if (reserved === undefined && !account.reservations.delete(key)) return;
    if (reserved !== undefined) account.reservations.set(key, { key, reserved, created: entry?.created ?? "" });
    account.kept = keptReservations(account.reservations.values(), this.#options.limit);
    account.reservedSum = 0;
    for (const { key: other, reserved: amount } of account.reservations.values())
      if (account.kept.has(other)) account.reservedSum += amount;
    // Another one's may be kept now that could not, or no more.
    for (const other of new Set([key, ...account.reservations.keys()])) {
      const known = this.#shares.get(other);
      if (known) change(known, { reserved: keptOf(account, other) });
    }
  }

  /**
   * Counts one more execution of a function.
   * @param running executions of the function now, before this one
   * @returns how to give it back; later where another gateway has to be asked
   * @throws KappaError K105 with Lambda's reason
   */
  acquire(entry: FunctionEntry, running: number): (() => void) | Promise<() => void> {
    const share = this.#share(entry.key);
    const reserved = entry.reservedConcurrentExecutions;
    if (share.account.reservations.get(entry.key)?.reserved !== reserved) this.update(entry.key, entry);
    if (reserved !== undefined && running >= reserved) throw throttled("ReservedFunctionConcurrentInvocationLimitExceeded");
    this.#rate(share);
    if (!counts(share)) return begin(share);
    const waiting = share.account.blocks.take();
    return waiting ? waiting.then(() => taken(share)) : taken(share);
  }

  /** Executions of a function that its former owners, or nobody knows who, have begun and that may still run. */
  charge(key: string, foreign: number): void {
    // What it charged for a function that it no longer owns is handed over with the function.
    if (!this.#owns(key) || (foreign === 0 && !this.#shares.has(key))) return;
    const share = this.#share(key);
    if (counts(share)) share.account.blocks.charge(foreign - share.foreign);
    share.foreign = foreign;
  }

  /** Executions that this gateway has accepted for an account's functions without a reservation. */
  running(account: string): number {
    return this.#accounts.get(account)?.blocks.used ?? 0;
  }

  #account(name: string): Account {
    const known = this.#accounts.get(name);
    if (known) return known;
    const { clock, limit } = this.#options;
    const peers = this.#peers;
    const account: Account = {
      reservations: new Map(),
      kept: new Set(),
      reservedSum: 0,
      blocks: new AccountBlocks({
        account: name,
        clock,
        peers,
        limit: () => unreservedLimit(limit, account.reservedSum),
        nextTerm: () => {
          this.#term = Math.max(this.#term + 1, peers?.epoch ?? 0);
          return this.#term;
        },
      }),
    };
    this.#accounts.set(name, account);
    return account;
  }

  #share(key: string): Share {
    let share = this.#shares.get(key);
    if (!share) {
      const account = this.#account(accountOf(key));
      share = {
        account,
        running: 0,
        foreign: 0,
        rate: undefined,
        ratedFor: 0,
        reserved: keptOf(account, key),
        owned: this.#owns(key),
        gone: false,
      };
      this.#shares.set(key, share);
    }
    return share;
  }

  #rate(share: Share): void {
    const now = this.#options.clock.monotonic();
    const concurrency = share.reserved ?? unreservedLimit(this.#options.limit, share.account.reservedSum);
    if (!share.rate || share.ratedFor !== concurrency) {
      share.rate = new TokenBucket({ ...requestRate(concurrency), now });
      share.ratedFor = concurrency;
    }
    if (share.rate.take(now)) return;
    throw throttled(
      share.reserved === undefined ? "FunctionInvocationRateLimitExceeded" : "ReservedFunctionInvocationRateLimitExceeded",
      Math.max(1, Math.ceil(share.rate.waitMs(now) / 1000)),
    );
  }

  #owns(key: string): boolean {
    return this.#peers?.isSelf(this.#peers.ownerOf(key)) ?? true;
  }

  async #hold(peers: ConcurrencyPeers, from: string, ask: Ask<"hold">): Promise<Answer<"hold">> {
    const sees = () => peers.alive.join() === ask.members.join();
    if (!sees()) {
      await new Promise<void>((resolve) => {
        const done = () => {
          cancel();
          this.#looking.delete(look);
          resolve();
        };
        const cancel = this.#options.clock.setTimeout(done, SAME_VIEW_MS);
        const look = () => sees() && done();
        this.#looking.add(look);
      });
    }
    // What else was to be done about the change of the gateways is done by now: functions are charged before the answer.
    if (!sees()) throw new Error(`it sees other gateways alive: ${peers.alive.join(", ")}`);
    return this.#account(ask.account).blocks.hold(from, ask);
  }

  #tick(): void {
    this.#cancelTick = this.#options.clock.setTimeout(() => {
      for (const { blocks } of this.#accounts.values()) blocks.tick();
      this.#forget();
      this.#tick();
    }, TICK_MS);
  }

  #forget(): void {
    const needed = new Set<Account>();
    for (const [key, share] of this.#shares) {
      if (share.running + share.foreign === 0 && (share.gone || !share.owned)) this.#shares.delete(key);
      else needed.add(share.account);
    }
    for (const [name, account] of this.#accounts) {
      if (account.reservations.size > 0 || !account.blocks.isEmpty || needed.has(account)) continue;
      account.blocks.end();
      this.#accounts.delete(name);
    }
  }
}

/** What is set aside for a function, if anything is. */
function keptOf(account: Account, key: string): number | undefined {
  return account.kept.has(key) ? account.reservations.get(key)?.reserved : undefined;
}

/** Whether what runs of a function counts in its account's unreserved part, here. */
function counts({ owned, reserved }: Share): boolean {
  return owned && reserved === undefined;
}

/** Another owner, or another reservation: what runs is counted elsewhere. */
function change(share: Share, to: Partial<Pick<Share, "owned" | "reserved">>): void {
  const before = counts(share);
  Object.assign(share, to);
  const after = counts(share);
  const { running, foreign, account } = share;
  if (to.owned === false) share.foreign = 0;
  if (before === after) return;
  if (to.owned === false) {
    account.blocks.handOver(running, foreign);
    return;
  }
  account.blocks.move(after ? running : -running);
  account.blocks.charge(after ? foreign : -foreign);
}

/** An execution that was taken from the account; if that was waited for, the function may not count there any more. */
function taken(share: Share): () => void {
  if (!counts(share)) share.account.blocks.release();
  return begin(share);
}

/** An execution begins; what is returned ends it, once. */
function begin(share: Share): () => void {
  share.running++;
  let running = true;
  return () => {
    if (!running) return;
    running = false;
    share.running--;
    if (counts(share)) share.account.blocks.release();
  };
}

function accountOf(key: string): string {
  return key.slice(0, key.indexOf("/"));
}
