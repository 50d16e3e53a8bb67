import fc from "fast-check";
import { expect, test } from "vitest";
import { Block, blockSize, keptProvisioned, keptReservations, Ledger, lend, minUnreserved, unreservedLimit } from "./concurrency.ts";

test("what is reserved is taken from the rest, of which a hundred are left, or all where an account has less", () => {
  expect(unreservedLimit(1000, 0)).toBe(1000);
  expect(unreservedLimit(1000, 300)).toBe(700);
  expect(unreservedLimit(1000, 950)).toBe(100);
  expect(unreservedLimit(50, 40)).toBe(50);
});

test("what is provisioned keeps what the reservations leave it, in the order in which functions were made", () => {
  const provisioned = [
    { key: "a/late", provisioned: 50, created: "3" },
    { key: "a/large", provisioned: 850, created: "2" },
    { key: "a/first", provisioned: 10, created: "1" },
  ];
  expect(keptProvisioned(provisioned, 1000, 0)).toEqual(new Set(["a/first", "a/large"]));
  expect(keptProvisioned(provisioned, 1000, 100)).toEqual(new Set(["a/first", "a/late"]));
  expect(keptProvisioned(provisioned, 1000, 900)).toEqual(new Set());
  expect(keptProvisioned(provisioned, 50, 0)).toEqual(new Set());
});

test("of what is reserved and provisioned the others' minimum is left, and whoever keeps nothing would not fit", () => {
  const created = fc.constantFrom("1", "2", "3");
  const amounts = fc.array(fc.tuple(fc.nat(600), created), { maxLength: 8 });
  fc.assert(
    fc.property(amounts, amounts, fc.nat(1_500), (wanted, granted, limit) => {
      const reservations = wanted.map(([reserved, at], index) => ({ key: `r${index}`, reserved, created: at }));
      const provisioned = granted.map(([amount, at], index) => ({ key: `p${index}`, provisioned: amount, created: at }));
      const reserving = keptReservations(reservations, limit);
      const reserved = reservations.reduce((sum, of) => sum + (reserving.has(of.key) ? of.reserved : 0), 0);
      const kept = keptProvisioned(provisioned, limit, reserved);
      const all = provisioned.reduce((sum, of) => sum + (kept.has(of.key) ? of.provisioned : 0), reserved);
      const room = limit - minUnreserved(limit);
      expect(all).toBeLessThanOrEqual(room);
      for (const of of reservations) if (!reserving.has(of.key)) expect(reserved + of.reserved).toBeGreaterThan(room);
      for (const of of provisioned) if (!kept.has(of.key)) expect(all + of.provisioned).toBeGreaterThan(room);
    }),
  );
});

test("blocks are small where an account is, and never so large that its rest is far away", () => {
  expect(blockSize(1000, 2)).toBe(62);
  expect(blockSize(100_000, 2)).toBe(64);
  expect(blockSize(3, 4)).toBe(1);
});

test("what is needed is lent as far as it goes; more only where there is room for the others", () => {
  expect(lend({ free: 1000, need: 1, limit: 1000, gateways: 2 })).toBe(63);
  expect(lend({ free: 5, need: 3, limit: 1000, gateways: 2 })).toBe(4);
  expect(lend({ free: 2, need: 3, limit: 1000, gateways: 2 })).toBe(2);
  expect(lend({ free: -4, need: 3, limit: 1000, gateways: 2 })).toBe(0);
  expect(lend({ free: 100, need: 0, limit: 1000, gateways: 2 })).toBe(0);
});

test("never more is lent than there is", () => {
  const count = fc.integer({ min: -50, max: 2_000 });
  fc.assert(
    fc.property(count, fc.nat(2_000), fc.nat(2_000), fc.integer({ min: 1, max: 20 }), (free, need, limit, gateways) => {
      const lent = lend({ free, need, limit, gateways });
      expect(lent).toBeLessThanOrEqual(Math.max(0, free));
      expect(lent).toBeGreaterThanOrEqual(Math.min(need, Math.max(0, free)));
    }),
  );
});

function both(lent = 0) {
  const ledger = new Ledger(1);
  const block = new Block();
  ledger.begin("g", 5, block.begin(5, lent, 0));
  return { ledger, block };
}

test("an answer that is lost is made up for by the next one", () => {
  const { ledger, block } = both();
  ledger.grant("g", 3);
  expect([ledger.lent, block.held]).toEqual([3, 0]);
  block.grantedUpTo(5, ledger.grant("g", 2));
  expect([ledger.lent, block.held]).toEqual([5, 5]);
});

test("what is given back, told late or twice or out of order, counts once", () => {
  const { ledger, block } = both(10);
  block.giveBack(6);
  const first = block.position(1);
  block.giveBack(4);
  const second = block.position(0);
  for (const position of [second, first, second]) ledger.told("g", 5, position);
  expect([ledger.lent, block.held]).toEqual([4, 4]);
});

test("what belongs to a former term counts no more, on either side", () => {
  const { ledger, block } = both(10);
  block.giveBack(2);
  const late = block.position(7);
  ledger.begin("g", 6, block.begin(6, 1, 0));
  ledger.told("g", 5, late);
  block.grantedUpTo(5, 100);
  expect([ledger.lent, block.held]).toEqual([1, 1]);
});

test("executions of former owners count beside what was lent, as said last", () => {
  const { ledger, block } = both(2);
  const more = block.position(3);
  ledger.told("g", 5, block.position(1));
  ledger.told("g", 5, more);
  expect(ledger.lent).toBe(3);
  ledger.forget("g");
  expect([ledger.lent, ledger.termOf("g"), ledger.grant("g", 1)]).toEqual([0, undefined, 0]);
});

test("those that hold something are known, also what they hold without knowing", () => {
  const { ledger, block } = both(2);
  ledger.begin("idle", 6, { lent: 0, charged: 4, n: 1 });
  expect(ledger.holders()).toEqual(["g"]);
  block.giveBack(0);
  ledger.told("g", 5, block.position(0));
  expect(ledger.holders()).toEqual([]);
  ledger.grant("g", 1);
  expect([ledger.holders(), ledger.lentTo("g"), block.held]).toEqual([["g"], { term: 5, granted: 3 }, 0]);
});

test("whatever becomes of messages, a borrower never holds more than the lender has counted as lent", () => {
  const act = fc.constantFrom("grant", "giveBack", "deliverGrant", "deliverPosition", "newTerm");
  fc.assert(
    fc.property(fc.array(fc.tuple(act, fc.nat(9)), { maxLength: 100 }), (acts) => {
      const { ledger, block } = both();
      let term = 5;
      const grants: [number, number][] = [];
      const positions: [number, ReturnType<Block["position"]>][] = [];
      for (const [what, size] of acts) {
        if (what === "grant") grants.push([term, ledger.grant("g", size)]);
        else if (what === "giveBack") {
          block.giveBack(Math.min(block.held, size));
          positions.push([block.term, block.position(0)]);
        } else if (what === "deliverGrant") block.grantedUpTo(...(grants[size % (grants.length || 1)] ?? [0, 0]));
        else if (what === "newTerm") ledger.begin("g", ++term, block.begin(term, Math.min(size, block.held), 0));
        else {
          const position = positions[size % (positions.length || 1)];
          if (position) ledger.told("g", ...position);
        }
        expect(block.held).toBeLessThanOrEqual(ledger.lent);
      }
    }),
    { numRuns: 1_000 },
  );
});
