import { Ledger, type Position } from "../domain/concurrency.ts";
import type { Clock } from "../kube/clock.ts";
import { type Answer, PeerRefusal } from "./peer-messages.ts";
import type { Peers } from "./peers.ts";

/** One that does not answer is asked again meanwhile: its view of the gateways may be a moment behind, or the connection broke. */
const HEAR_AGAIN_MS = 500;
const HEAR_PAUSE_MS = 100;
const RECALL_MS = 500;
/** After the others had nothing to give back they are not asked again for so long. */
const RECALL_PAUSE_MS = 100;

/** What is needed of the other gateways. */
export type LendingPeers = Pick<Peers, "epoch" | "alive" | "connected" | "ownerOf" | "isSelf" | "request">;

export interface LendingOptions {
  account: string;
  clock: Clock;
  /** Absent where this gateway is alone. */
  peers: LendingPeers | undefined;
  /** A number that no borrower of this gateway's has counted in. */
  nextTerm(): number;
}

/**
 * An account's owner as the one that lends, as long as the gateways are the same. It first hears from all others what they hold; they
 * answer when they see the same gateways, and have charged what they found running of functions that became theirs.
 */
export class Lending {
  readonly #options: LendingOptions;
  readonly #ledger: Ledger;
  readonly #opened: () => void;
  #open: boolean;
  #ended = false;
  #hearing: Promise<void> | undefined;
  #recalling: Promise<void> | undefined;
  #nothingToRecallUntil = Number.NEGATIVE_INFINITY;

  /** @param opened called when the others have been heard; not where there are none */
  constructor(options: LendingOptions, opened: () => void) {
    this.#options = options;
    this.#opened = opened;
    this.#ledger = new Ledger(options.peers?.epoch ?? 0);
    this.#open = (options.peers?.connected().length ?? 0) === 0;
  }

  /** The gateways have changed, so another term begins or another gateway lends; or the account is forgotten. */
  end(): void {
    this.#ended = true;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether all others have been heard: whoever has not may hold everything, until it is lost. */
  get open(): boolean {
    return this.#open;
  }

  /** What the others use or may use. */
  get lent(): number {
    return this.#ledger.lent;
  }

  /** Whether it is certain that nobody has anything to give back. */
  get isUsedUp(): boolean {
    if (!this.#open || this.#recalling) return false;
    return this.#ledger.holders().length === 0 || this.#options.clock.monotonic() < this.#nothingToRecallUntil;
  }

  /** A gateway is gone. */
  forget(name: string): void {
    this.#ledger.forget(name);
  }

  /** Hears what the others hold, once. */
  hear(): Promise<void> {
    const { peers } = this.#options;
    if (!peers || this.#open) return Promise.resolve();
    this.#hearing ??= Promise.all(peers.connected().map((name) => this.#hearOne(name))).then(() => {
      if (this.#ended) return;
      this.#open = true;
      this.#opened();
    });
    return this.#hearing;
  }

  /** A gateway asks, and says where it stands in a term; if that is none of now, it is heard first. */
  async told(from: string, term: number, position: Position): Promise<void> {
    const before = this.#ledger.termOf(from);
    await this.hear();
    const now = this.#ledger.termOf(from);
    if (now !== undefined && now === term) this.#ledger.told(from, term, position);
    else if (now === before) await this.#hearOne(from);
  }

  /**
   * Lends more.
   * @throws Error when the gateway was not heard, or the term is over
   */
  grant(name: string, more: number): Answer<"borrow"> {
    if (this.#ended) throw new Error("it lends no more in this term");
    const term = this.#ledger.termOf(name);
    if (term === undefined) throw new Error("it has not said what it holds");
    return { term, granted: this.#ledger.grant(name, more) };
  }

  /** Has the others give back what they do not use. */
  recall(except?: string): Promise<void> {
    const { clock } = this.#options;
    const holders = this.#ledger.holders().filter((name) => name !== except);
    if (holders.length === 0 || clock.monotonic() < this.#nothingToRecallUntil) return Promise.resolve();
    const before = this.#ledger.lent;
    this.#recalling ??= Promise.all(holders.map((name) => this.#recallFrom(name))).then(() => {
      this.#recalling = undefined;
      if (this.#ledger.lent >= before) this.#nothingToRecallUntil = clock.monotonic() + RECALL_PAUSE_MS;
    });
    return this.#recalling;
  }

  async #hearOne(name: string): Promise<void> {
    const { peers, clock } = this.#options;
    while (peers?.connected().includes(name) && !this.#ended) {
      try {
        await this.#askOne(peers, name);
        return;
      } catch {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, HEAR_PAUSE_MS));
      }
    }
  }

  async #askOne(peers: LendingPeers, name: string): Promise<void> {
    const { account, nextTerm } = this.#options;
    const term = nextTerm();
    const held = await peers.request(name, "hold", { account, term, members: [...peers.alive] }, HEAR_AGAIN_MS);
    // Of two questions the earlier one's answer may come later.
    if (term > (this.#ledger.termOf(name) ?? 0)) this.#ledger.begin(name, term, held);
  }

  async #recallFrom(name: string): Promise<void> {
    const { peers, account } = this.#options;
    if (!peers) return;
    const { term, granted } = this.#ledger.lentTo(name);
    try {
      const position = await peers.request(name, "recall", { account, term, granted }, RECALL_MS);
      this.#ledger.told(name, term, position);
    } catch (error) {
      // What it holds stays counted as lent. Who refuses may have forgotten the term, since it used nothing in it and its messages were lost.
      if (error instanceof PeerRefusal && !this.#ended) await this.#askOne(peers, name).catch(() => {});
    }
  }
}
