import { Block, lend, type Position } from "../domain/concurrency.ts";
import { KappaError, throttled } from "../domain/errors.ts";
import { Lending, type LendingOptions } from "./account-lending.ts";
import type { Answer, Ask } from "./peer-messages.ts";

/** So long an answer about lending may take: it may come after the hearing and a recall. */
const BORROW_MS = 3_000;
/** Pause before an owner that did not answer is asked again. */
const AGAIN_MS = 100;
/** A caller waits so long at most for an account's owner that does not answer; by then another one owns it. */
const WAIT_MS = 10_000;

export interface AccountBlocksOptions extends LendingOptions {
  /** What functions without a reservation may use, all gateways together. */
  limit(): number;
}

interface Waiter {
  since: number;
  resolve: () => void;
  reject: (error: KappaError) => void;
}

/** One account's unreserved concurrency at this gateway: as its owner, which lends it out, or as one that borrows. */
export class AccountBlocks {
  readonly #options: AccountBlocksOptions;
  /** Executions that this gateway has accepted. */
  #used = 0;
  /** Executions of former owners of this gateway's functions. */
  #charged = 0;
  /** Executions that use what was lent in this term, and that other gateways count in the next. */
  #handedOver = 0;
  /** Likewise of those that are charged. */
  #chargedBefore = 0;
  #toldCharged = 0;
  /** Who lent the block: terms of different ones may have the same number. */
  #lender: string | undefined;
  /** Term of the account's owner's last question, as long as the gateways are the same. */
  #askedIn = 0;
  #epoch: number;
  readonly #block = new Block();
  /** Present while this gateway owns the account. */
  #lending: Lending | undefined;
  #asking = false;
  readonly #waiting: Waiter[] = [];
  #unusedLeast = 0;

  constructor(options: AccountBlocksOptions) {
    this.#options = options;
    this.#epoch = options.peers?.epoch ?? 0;
    this.#lendOrNot();
  }

  /** Whether nothing would be lost with it. */
  get isEmpty(): boolean {
    return this.#used + this.#beyond() + this.#toldCharged + this.#block.held + this.#waiting.length + (this.#lending?.lent ?? 0) === 0;
  }

  /** It is forgotten; others that the account needs take its place. */
  end(): void {
    this.#lending?.end();
  }

  /** What runs here, for tests and metrics. */
  get used(): number {
    return this.#used;
  }

  /**
   * Takes one execution's worth: at once where there is room here or certainly none anywhere.
   * @throws KappaError K105
   */
  take(): undefined | Promise<void> {
    if (this.#waiting.length === 0) {
      if (this.#room() > 0) {
        this.#count(1);
        return undefined;
      }
      if (this.#lending?.isUsedUp) throw throttled("ConcurrentInvocationLimitExceeded");
    }
    return new Promise<void>((resolve, reject) => {
      this.#waiting.push({ since: this.#options.clock.monotonic(), resolve, reject });
      this.#pump();
    });
  }

  /** An execution has ended. */
  release(): void {
    this.#count(-1);
    this.#serve();
  }

  /** Executions count here that did not before; or, with less than 0, no more, and what they use goes with them. */
  move(change: number): void {
    this.#used += change;
    if (change < 0) this.#block.giveBack(this.#block.held + change);
    this.#unusedLeast = 0;
    if (change < 0) this.#serve();
  }

  /**
   * Another gateway owns the function now and will charge these executions, or is about to see so. Until the account's owner, who
   * sees the same then, asks what is held here, they use what they used.
   */
  handOver(running: number, charged: number): void {
    this.#used -= running;
    this.#charged -= charged;
    this.#handedOver += running;
    this.#chargedBefore += charged;
  }

  /** Executions of former owners of this gateway's functions begin to count here, or have ended. */
  charge(change: number): void {
    if (change === 0) return;
    this.#charged += change;
    if (change < 0) this.#serve();
    if (!this.#lending) this.#report();
  }

  /** The gateways changed: what was lent counts in a new term, with this gateway in the role that it has there. */
  turn(): void {
    this.#epoch = this.#options.peers?.epoch ?? 0;
    this.#askedIn = 0;
    // A lender that has not seen the change goes on in its term: it is to ask again, since functions were handed over.
    this.#lender = undefined;
    // Who owned the account held nothing of it, and keeps what it uses. It counts in the new term once its owner asked.
    if (this.#lending?.open) this.#block.begin(0, this.#used, 0);
    this.#lending?.end();
    this.#lendOrNot();
  }

  /** After the gateways changed, and executions were moved and handed over: those that wait may go on. */
  turned(): void {
    this.#pump();
    if (this.#used + this.#charged > 0) void this.#lending?.hear();
  }

  /** A gateway is gone. */
  lost(name: string): void {
    this.#lending?.forget(name);
    this.#serve();
  }

  /** Some seconds have passed: what was not used in them goes back. */
  tick(): void {
    if (this.#lending) {
      this.#refuseOverdue();
      return;
    }
    const unused = Math.min(this.#unusedLeast, this.#unused());
    this.#unusedLeast = this.#unused();
    if (unused > 0) {
      this.#block.giveBack(this.#block.held - unused);
      this.#unusedLeast -= unused;
    }
    const news = unused > 0 || this.#beyond() !== this.#toldCharged;
    if (news || (this.#lender === undefined && this.#block.held > 0)) this.#report();
  }

  /** Another gateway owns the account and asks what is held here. */
  hold(from: string, { term }: Ask<"hold">): Answer<"hold"> {
    if (this.#owner() !== from) throw new Error("it does not own the account, as seen from here");
    if (this.#askedIn > term) throw new Error("it has asked again since");
    this.#askedIn = term;
    this.#lender = from;
    this.#toldCharged = this.#charged;
    this.#unusedLeast = 0;
    this.#forgetHandedOver();
    return this.#block.begin(term, this.#used, this.#charged);
  }

  /** Another gateway wants something of this account, or says where it stands. */
  async borrow(from: string, { term, need, ...position }: Ask<"borrow">): Promise<Answer<"borrow">> {
    const lending = this.#lending;
    if (!lending) throw new Error("the account is not owned here");
    await lending.told(from, term, position);
    this.#serve();
    if (need > 0 && need > this.#free()) await lending.recall(from);
    const { peers, limit } = this.#options;
    const more = lend({ free: this.#free(), need, limit: limit(), gateways: peers?.alive.length ?? 1 });
    return lending.grant(from, more);
  }

  /** The account's owner wants back what is not used. */
  recall(from: string, { term, granted }: Ask<"recall">): Position {
    if (this.#lender !== from || term !== this.#block.term) throw new Error("it is not the term that is counted in here");
    // The answer that told of it may be lost.
    this.#block.grantedUpTo(term, granted);
    this.#block.giveBack(this.#used + this.#handedOver);
    this.#unusedLeast = 0;
    return this.#block.position(this.#beyond());
  }

  #owner(): string | undefined {
    return this.#options.peers?.ownerOf(accountKey(this.#options.account));
  }

  #lendOrNot(): void {
    const { peers } = this.#options;
    const owner = this.#owner();
    this.#lending = undefined;
    if (peers && owner !== undefined && !peers.isSelf(owner)) return;
    this.#lending = new Lending(this.#options, () => {
      this.#forgetHandedOver();
      this.#block.begin(0, 0, 0);
      this.#serve();
    });
    this.#toldCharged = 0;
    if (this.#lending.open) this.#forgetHandedOver();
  }

  /** A new term: all that see the same count what they own. */
  #forgetHandedOver(): void {
    this.#handedOver = 0;
    this.#chargedBefore = 0;
  }

  /** What this gateway may still take without asking. */
  #room(): number {
    return this.#lending?.open ? this.#free() : this.#unused();
  }

  /** As one that borrows: what may be used and is not; negative where more runs than was lent. */
  #unused(): number {
    return this.#block.held - this.#used - this.#handedOver;
  }

  /** As the owner: what nobody has. */
  #free(): number {
    return this.#options.limit() - this.#used - this.#charged - (this.#lending?.lent ?? 0);
  }

  /** As one that borrows: what runs and was not lent. */
  #beyond(): number {
    return this.#charged + this.#chargedBefore + Math.max(0, -this.#unused());
  }

  #count(change: number): void {
    this.#used += change;
    this.#unusedLeast = Math.min(this.#unusedLeast, this.#unused());
  }

  /** Lets those that wait go on as far as there is room. */
  #serve(): void {
    while (this.#waiting.length > 0 && this.#room() > 0) {
      this.#count(1);
      this.#waiting.shift()?.resolve();
    }
  }

  /** Does for those that wait what there is to do. */
  #pump(): void {
    this.#serve();
    if (this.#waiting.length === 0) return;
    if (this.#lending) void this.#lookForRoom(this.#lending);
    else void this.#ask();
  }

  async #lookForRoom(lending: Lending): Promise<void> {
    await lending.hear();
    this.#serve();
    const asked = this.#waiting.at(-1);
    if (!asked || lending.ended) return;
    await lending.recall();
    if (lending.ended) return;
    this.#serve();
    this.#refuseUpTo(asked);
  }

  /** There is no room for those that waited when it was looked for. */
  #refuseUpTo(last: Waiter): void {
    const refused = this.#waiting.splice(0, this.#waiting.indexOf(last) + 1);
    for (const { reject } of refused) reject(throttled("ConcurrentInvocationLimitExceeded"));
  }

  /** As one that borrows: asks the owner for what is missing, for all that wait. */
  async #ask(): Promise<void> {
    const { clock } = this.#options;
    if (this.#asking) return;
    this.#asking = true;
    while (this.#waiting.length > 0 && !this.#lending) {
      const asked = this.#waiting.at(-1);
      const epoch = this.#epoch;
      const answered = await this.#tell(this.#waiting.length);
      this.#serve();
      if (answered && asked && this.#epoch === epoch) {
        this.#refuseUpTo(asked);
      } else if (this.#epoch === epoch) {
        await new Promise<void>((resolve) => clock.setTimeout(resolve, AGAIN_MS));
      }
      this.#refuseOverdue();
    }
    this.#asking = false;
    // It became the owner meanwhile.
    this.#pump();
  }

  #refuseOverdue(): void {
    const now = this.#options.clock.monotonic();
    for (let first = this.#waiting[0]; first && now - first.since >= WAIT_MS; first = this.#waiting[0]) {
      this.#waiting.shift();
      first.reject(
        new KappaError("K106", "The gateways do not agree yet on what is used of the account's concurrency. Retry the request."),
      );
    }
  }

  /** Tells the owner where this gateway stands; what cannot be told now is told at the next tick. */
  #report(): void {
    if (!this.#asking) void this.#tell(0);
  }

  /** @returns whether the owner answered in the term that is counted in here */
  async #tell(need: number): Promise<boolean> {
    const { peers, account } = this.#options;
    const owner = this.#owner();
    if (!peers || owner === undefined || peers.isSelf(owner)) return false;
    const charged = this.#beyond();
    const ask = { account, term: this.#lender === owner ? this.#block.term : 0, need, ...this.#block.position(charged) };
    try {
      const { term, granted } = await peers.request(owner, "borrow", ask, BORROW_MS);
      if (term !== this.#block.term || owner !== this.#lender || owner !== this.#owner()) return false;
      this.#toldCharged = charged;
      this.#block.grantedUpTo(term, granted);
      return true;
    } catch {
      return false;
    }
  }
}

/** Key by which the owner of an account's concurrency is found. */
function accountKey(account: string): string {
  return `account/${account}`;
}
