import { describe, expect, test } from "vitest";
import { type Demand, grant, type Limits } from "./grants.ts";

const demand = (qualifier: string, requested: number, special: Partial<Demand> = {}): Demand => ({
  qualifier,
  kind: "version",
  version: qualifier,
  requested,
  granted: 0,
  ...special,
});
const account = (others = 0, limit = 1000): Limits => ({ account: { limit, others } });
const refusals = (demands: Demand[], limits: Limits = account()) => grant(demands, limits).map(({ refusal }) => refusal);
const counts = (demands: Demand[], limits: Limits) => grant(demands, limits).map(({ count }) => count);
const RESERVED = "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function";
const ACCOUNT =
  "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].";

describe("provisioned concurrency is granted", () => {
  test("up to what the function has reserved, over all of its versions and aliases", () => {
    expect(refusals([demand("1", 6), demand("2", 4)], { ...account(), reserved: 10 })).toEqual([undefined, undefined]);
    expect(refusals([demand("1", 6), demand("2", 5)], { ...account(), reserved: 10 })).toEqual([undefined, RESERVED]);
    expect(refusals([demand("1", 1)], { ...account(), reserved: 0 })).toEqual([RESERVED]);
  });

  test("up to what leaves the account a hundred for functions that have nothing of their own", () => {
    expect(refusals([demand("1", 900)])).toEqual([undefined]);
    expect(refusals([demand("1", 901)])).toEqual([ACCOUNT]);
    expect(refusals([demand("1", 500)], account(400))).toEqual([undefined]);
    expect(refusals([demand("1", 500)], account(401))).toEqual([ACCOUNT]);
  });

  test("out of the reservation and not out of the account where the account keeps one", () => {
    expect(refusals([demand("1", 5)], { reserved: 10 })).toEqual([undefined]);
  });

  test("out of the account and up to the reservation where the account does not keep it", () => {
    expect(refusals([demand("1", 5)], { ...account(895), reserved: 10 })).toEqual([undefined]);
    expect(refusals([demand("1", 6)], { ...account(895), reserved: 10 })).toEqual([ACCOUNT]);
    expect(refusals([demand("1", 11)], { ...account(895), reserved: 10 })).toEqual([RESERVED]);
  });

  test("first to who had it, though somebody else asks before", () => {
    expect(refusals([demand("1", 6), demand("2", 6, { granted: 6 })], { ...account(), reserved: 10 })).toEqual([RESERVED, undefined]);
  });

  test("as before to who is refused more, and what it keeps is nobody else's", () => {
    const asking = [demand("1", 12, { granted: 6 }), demand("2", 5)];
    expect(refusals(asking, { reserved: 10 })).toEqual([RESERVED, RESERVED]);
    expect(counts(asking, { reserved: 10 })).toEqual([6, 0]);
    expect(counts(asking, { reserved: 11 })).toEqual([6, 5]);
  });

  test("no longer where what there is does not fit any more", () => {
    expect(counts([demand("1", 11, { granted: 6 }), demand("2", 5, { granted: 5 })], { reserved: 5 })).toEqual([0, 5]);
  });

  test("to a later one that fits where an earlier one does not", () => {
    expect(refusals([demand("1", 20), demand("2", 5)], { ...account(), reserved: 10 })).toEqual([RESERVED, undefined]);
  });

  test("to a version or to the alias that names it, not to both", () => {
    const alias = demand("PROD", 1, { kind: "alias", version: "7" });
    expect(refusals([demand("7", 1), alias])).toEqual([
      undefined,
      "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version",
    ]);
    expect(refusals([alias, demand("7", 1)])).toEqual([undefined, "Version is pointed by a Provisioned Concurrency alias"]);
    expect(refusals([alias, { ...alias, qualifier: "TEST" }, demand("8", 1)])).toEqual([undefined, undefined, undefined]);
  });
});
