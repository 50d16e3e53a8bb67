/**
 * How an account's concurrency is shared between gateways: its owner lends parts of it, called blocks. Pure: no clock, no I/O.
 *
 * Lender and borrower count what was lent and what was given back by numbers that only grow, and every message says them in full. So
 * a message that is lost, late or repeated can make the lender believe that more is lent than is, never less: what is held by all
 * gateways together is at most what the lender has lent.
 */

/** Functions without a reservation keep at least so much of an account (docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html). */
const MIN_UNRESERVED = 100;
/** A block is at most this, so that a large account's idle rest is not far away from who needs it. */
const MAX_BLOCK = 64;
/** Each gateway borrows so many times until an account is lent out. */
const BLOCKS_PER_GATEWAY = 8;

/** What a function wants to have reserved. */
export interface Reservation {
  /** Of the function. */
  key: string;
  reserved: number;
  /** When the function was made: of those that came later there may be too many. */
  created: string;
}

/** Provisioned concurrency of a function for which its account keeps no reservation. */
export interface Provisioned {
  /** Of the function. */
  key: string;
  provisioned: number;
  /** When the function was made. */
  created: string;
}

/** What functions without a reservation keep of an account. */
export function minUnreserved(limit: number): number {
  return Math.min(MIN_UNRESERVED, limit);
}

/**
 * Whose reservations an account can keep. Lambda refuses one that leaves the other functions less than their minimum; here the functions
 * are there already, so those that were made first have theirs. One of 0 takes nothing.
 */
export function keptReservations(reservations: Iterable<Reservation>, limit: number): Set<string> {
  return keptInTurn(reservations, ({ reserved }) => reserved, limit - minUnreserved(limit));
}

/**
 * Whose provisioned concurrency an account can keep beside its reservations. Lambda refuses a reservation that does not fit beside what is
 * provisioned; here gateways would have to know what is granted to refuse it alike, so the reservation has its part, and what was granted
 * and fits no more is taken back.
 * @param reserved sum of all reservations that are kept
 */
export function keptProvisioned(provisioned: Iterable<Provisioned>, limit: number, reserved: number): Set<string> {
  return keptInTurn(provisioned, ({ provisioned: amount }) => amount, limit - minUnreserved(limit) - reserved);
}

/** Whoever was made first comes first, and who finds too little left takes nothing. */
function keptInTurn<T extends { key: string; created: string }>(all: Iterable<T>, amountOf: (of: T) => number, room: number): Set<string> {
  const kept = new Set<string>();
  let left = room;
  const inTurn = [...all].sort((a, b) => (`${a.created} ${a.key}` < `${b.created} ${b.key}` ? -1 : 1));
  for (const each of inTurn) {
    if (amountOf(each) > left) continue;
    left -= amountOf(each);
    kept.add(each.key);
  }
  return kept;
}

/** What functions without a reservation share. @param reserved sum of all reservations that are kept */
export function unreservedLimit(limit: number, reserved: number): number {
  return Math.max(limit - reserved, minUnreserved(limit));
}

/** What is lent beyond the need, so that not every execution costs a question. */
export function blockSize(limit: number, gateways: number): number {
  return Math.min(MAX_BLOCK, Math.max(1, Math.floor(limit / (gateways * BLOCKS_PER_GATEWAY))));
}

/**
 * What is lent to who asks: what it needs, as far as there is room, and of the rest at most a fair part.
 * @param free what is neither used nor lent; negative where more is than there should be
 */
export function lend({ free, need, limit, gateways }: { free: number; need: number; limit: number; gateways: number }): number {
  const needed = Math.max(0, Math.min(need, free));
  if (needed < need || need === 0) return needed;
  return needed + Math.min(blockSize(limit, gateways), Math.floor((free - needed) / gateways));
}

/** Where a borrower stands in its term. */
export interface Position {
  /** Grows with every message, so that of two the later one counts. */
  n: number;
  /** Given back, in all. */
  returned: number;
  /** Executions of former owners that run on functions of the borrower. They are no part of what it was lent. */
  charged: number;
}

interface Loan extends Position {
  /** Lent, in all. */
  granted: number;
  term: number;
}

/**
 * The lender's book of one account. With every change of the gateways a new one begins, filled with what each of them says it holds.
 * Whenever a borrower is asked that, its counters begin anew, and a new term with them: what belongs to a former one counts no more.
 */
export class Ledger {
  /** The lender's view of the gateways. */
  readonly epoch: number;
  readonly #loans = new Map<string, Loan>();

  constructor(epoch: number) {
    this.epoch = epoch;
  }

  /** What the others use or may use. */
  get lent(): number {
    let sum = 0;
    for (const { granted, returned, charged } of this.#loans.values()) sum += granted - returned + charged;
    return sum;
  }

  /** The term in which a gateway has told what it holds; absent when it has not. */
  termOf(name: string): number | undefined {
    return this.#loans.get(name)?.term;
  }

  /** What a gateway was lent in its term, in all. */
  lentTo(name: string): { term: number; granted: number } {
    const { term = 0, granted = 0 } = this.#loans.get(name) ?? {};
    return { term, granted };
  }

  /** Gateways that hold something which they may not need. */
  holders(): string[] {
    return [...this.#loans].filter(([, { granted, returned }]) => granted > returned).map(([name]) => name);
  }

  /** A gateway says what it holds, and counts from there. */
  begin(name: string, term: number, { lent, charged, n }: { lent: number; charged: number; n: number }): void {
    this.#loans.set(name, { term, granted: lent, returned: 0, charged, n });
  }

  /** A gateway says where it stands in a term. */
  told(name: string, term: number, { n, returned, charged }: Position): void {
    const loan = this.#loans.get(name);
    if (loan?.term !== term) return;
    loan.returned = Math.min(Math.max(loan.returned, returned), loan.granted);
    if (n <= loan.n) return;
    loan.n = n;
    loan.charged = charged;
  }

  /** Lends more. @returns what was lent in all */
  grant(name: string, more: number): number {
    const loan = this.#loans.get(name);
    if (!loan) return 0;
    loan.granted += more;
    return loan.granted;
  }

  /** A gateway is gone. What it ran is charged by those that own its functions now. */
  forget(name: string): void {
    this.#loans.delete(name);
  }
}

/** What a gateway was lent of one account. */
export class Block {
  #term = 0;
  #granted = 0;
  #returned = 0;
  #n = 0;

  /** How much may run. */
  get held(): number {
    return this.#granted - this.#returned;
  }

  /** The term that what is lent counts in. */
  get term(): number {
    return this.#term;
  }

  /** Where it stands, for the next message. */
  position(charged: number): Position {
    return { n: ++this.#n, returned: this.#returned, charged };
  }

  /** A new term begins; only what is used is kept. */
  begin(term: number, used: number, charged: number): { lent: number; charged: number; n: number } {
    this.#term = term;
    this.#granted = used;
    this.#returned = 0;
    return { lent: used, charged, n: ++this.#n };
  }

  /** The lender has lent so much in all. */
  grantedUpTo(term: number, granted: number): void {
    if (term === this.#term) this.#granted = Math.max(this.#granted, granted);
  }

  /** Gives back all but `kept`. */
  giveBack(kept: number): void {
    this.#returned += Math.max(0, this.held - kept);
  }
}
