import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { KappaError } from "../domain/errors.ts";
import { systemClock } from "../kube/clock.ts";
import { AccountConcurrency } from "./account-concurrency.ts";
import type { FunctionEntry } from "./function-entry.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function entry(functionName: string, reserved?: number): FunctionEntry {
  return {
    key: `team/${functionName}`,
    namespace: "team",
    name: functionName,
    functionName,
    uid: `uid-${functionName}`,
    created: "2026-01-01T00:00:00Z",
    state: { name: "Active" },
    versions: new Map(),
    pending: new Map(),
    aliases: new Map(),
    ...(reserved === undefined ? {} : { reservedConcurrentExecutions: reserved }),
  };
}

/** Acquires at once; Lambda's reason when there is no room. */
function take(concurrency: AccountConcurrency, of: FunctionEntry, running = 0): (() => void) | string {
  try {
    const acquired = concurrency.acquire(of, running);
    if (acquired instanceof Promise) throw new Error("it has to be asked for");
    return acquired;
  } catch (error) {
    if (!(error instanceof KappaError)) throw error;
    return String(error.details.Reason);
  }
}

const many = (count: number, what: () => unknown) => Array.from({ length: count }, what);
const alone = (limit: number) => new AccountConcurrency({ limit, clock: systemClock });

test("an account's functions share its limit, and what one gives back another takes", () => {
  const concurrency = alone(2);
  const first = take(concurrency, entry("f"));
  take(concurrency, entry("g"));
  expect(take(concurrency, entry("h"))).toBe("ConcurrentInvocationLimitExceeded");
  if (typeof first === "function") first();
  expect(take(concurrency, entry("h"))).toBeTypeOf("function");
});

test("giving back twice gives back once", () => {
  const concurrency = alone(1);
  const release = take(concurrency, entry("f"));
  if (typeof release !== "function") throw new Error(release);
  release();
  take(concurrency, entry("g"));
  release();
  expect(take(concurrency, entry("f"))).toBe("ConcurrentInvocationLimitExceeded");
});

test("a reservation is a cap, and taken from what the others share", () => {
  const concurrency = alone(1000);
  concurrency.update("team/capped", entry("capped", 900));
  expect(take(concurrency, entry("capped", 900), 900)).toBe("ReservedFunctionConcurrentInvocationLimitExceeded");
  expect(take(concurrency, entry("capped", 900), 899)).toBeTypeOf("function");
  const taken = many(101, () => take(concurrency, entry("f")));
  expect(taken.filter((one) => typeof one === "function")).toHaveLength(100);
  expect(taken.at(-1)).toBe("ConcurrentInvocationLimitExceeded");
});

test("a reservation that leaves the others less than a hundred is a cap only, until an older one makes place for it", () => {
  const concurrency = alone(110);
  concurrency.update("team/a", entry("a", 6));
  concurrency.update("team/b", entry("b", 5));
  const taken = many(105, () => take(concurrency, entry("f")));
  expect(taken.filter((one) => typeof one === "function")).toHaveLength(104);
  expect(take(concurrency, entry("b", 5), 5)).toBe("ReservedFunctionConcurrentInvocationLimitExceeded");
  expect(take(concurrency, entry("b", 5))).toBe("ConcurrentInvocationLimitExceeded");
  expect(take(concurrency, entry("a", 6))).toBeTypeOf("function");
  concurrency.update("team/a", entry("a"));
  expect(take(concurrency, entry("b", 5))).toBeTypeOf("function");
});

test("a reservation of zero stops a function, with the reason that names it", () => {
  expect(take(alone(10), entry("f", 0))).toBe("ReservedFunctionConcurrentInvocationLimitExceeded");
});

test("what a former owner of a function still runs counts as well", () => {
  const concurrency = alone(3);
  concurrency.charge("team/f", 2);
  take(concurrency, entry("g"));
  expect(take(concurrency, entry("g"))).toBe("ConcurrentInvocationLimitExceeded");
  concurrency.charge("team/f", 0);
  expect(take(concurrency, entry("g"))).toBeTypeOf("function");
});

test("a function that gets or loses a reservation takes what runs along", () => {
  const concurrency = alone(150);
  many(3, () => take(concurrency, entry("f")));
  concurrency.charge("team/f", 1);
  const free = () => {
    const taken = many(200, () => take(concurrency, entry("g"))).filter((one) => typeof one === "function") as (() => void)[];
    for (const release of taken) release();
    return taken.length;
  };
  expect(free()).toBe(146);
  concurrency.update("team/f", entry("f", 20));
  expect(free()).toBe(130);
  concurrency.update("team/f", entry("f"));
  expect(free()).toBe(146);
});

test("another account is not concerned", () => {
  const concurrency = alone(1);
  take(concurrency, entry("f"));
  expect(take(concurrency, { ...entry("f"), key: "other/f", namespace: "other" })).toBeTypeOf("function");
});

test("an account that nothing is known of is forgotten, and with it the questions that nobody answered", async () => {
  const concurrency = alone(10);
  const asked: string[] = [];
  const handlers = new Map<string, (from: string, ask: unknown) => unknown>();
  concurrency.connectTo({
    epoch: 1,
    alive: ["a", "b"],
    connected: () => ["b"],
    ownerOf: () => "a",
    isSelf: (name) => name === "a",
    onLost: () => {},
    onRequest: (what, handler) => void handlers.set(what, handler as (from: string, ask: unknown) => unknown),
    request: async (_name, what) => {
      asked.push(what);
      throw new Error("no answer in time");
    },
  });
  const borrowed = handlers.get("borrow")?.("b", { account: "team", term: 0, need: 1, n: 1, returned: 0, charged: 0 });
  const refused = expect(borrowed).rejects.toThrow("lends no more");
  await vi.advanceTimersByTimeAsync(2_000);
  expect(asked.length).toBeGreaterThan(5);
  await vi.advanceTimersByTimeAsync(2_000);
  await refused;
  const before = asked.length;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked).toHaveLength(before);
  concurrency.stop();
});

test("ten requests per second for each unit of concurrency, then Lambda's reasons of rate", () => {
  const concurrency = alone(101);
  const once = (of: FunctionEntry) => {
    const release = take(concurrency, of);
    if (typeof release !== "string") release();
    return release;
  };
  concurrency.update("team/g", entry("g", 1));
  expect(many(1_001, () => once(entry("f"))).at(-1)).toBe("FunctionInvocationRateLimitExceeded");
  expect(many(10, () => once(entry("g", 1))).at(-1)).toBeTypeOf("function");
  expect(once(entry("g", 1))).toBe("ReservedFunctionInvocationRateLimitExceeded");
  vi.advanceTimersByTime(1_000);
  expect(once(entry("f"))).toBeTypeOf("function");
  expect(once(entry("g", 1))).toBeTypeOf("function");
});
