import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../kube/clock.ts";
import { FreshCache } from "./fresh-cache.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

class SourceAway extends Error {}

function setup({ maxEntries = 10, maxPending = 10 } = {}) {
  const calls: { key: string; answer: PromiseWithResolvers<number> }[] = [];
  const cache = new FreshCache<string, number>({
    load: (key) => {
      const answer = Promise.withResolvers<number>();
      calls.push({ key, answer });
      return answer.promise;
    },
    lifetime: (v) => (v < 0 ? { refreshMs: 5, expireMs: 5, staleMs: 5 } : { refreshMs: 100, expireMs: 1000, staleMs: 10_000 }),
    staleOn: (error) => error instanceof SourceAway,
    maxEntries,
    maxPending,
    clock: systemClock,
  });
  const call = (i: number) => {
    const c = calls[i];
    if (!c) throw new Error(`there was no call ${i}`);
    return c;
  };
  return { calls, call, cache };
}

async function loaded(s: ReturnType<typeof setup>, key = "k", value = 1) {
  const pending = s.cache.get(key, key);
  s.call(s.calls.length - 1).answer.resolve(value);
  await pending;
}

test("a fresh value comes at once and asks nobody", async () => {
  const s = setup();
  await loaded(s);
  expect(s.cache.get("k", "k")).toBe(1);
  expect(s.calls).toHaveLength(1);
});

test("callers that come while a value is fetched share one fetch", async () => {
  const s = setup();
  const both = [s.cache.get("k", "k"), s.cache.get("k", "k")];
  s.call(0).answer.resolve(7);
  expect(await Promise.all(both)).toEqual([7, 7]);
  expect(s.calls).toHaveLength(1);
});

test("a value in use is refreshed ahead, once, without anybody waiting", async () => {
  const s = setup();
  await loaded(s);
  vi.advanceTimersByTime(100);
  expect(s.cache.get("k", "k")).toBe(1);
  expect(s.cache.get("k", "k")).toBe(1);
  expect(s.calls).toHaveLength(2);
  s.call(1).answer.resolve(2);
  await vi.advanceTimersByTimeAsync(0);
  expect(s.cache.get("k", "k")).toBe(2);
});

test("an expired value is served while its source is away, but not beyond its staleness", async () => {
  const s = setup();
  await loaded(s);
  vi.advanceTimersByTime(9_999);
  const stale = s.cache.get("k", "k");
  s.call(1).answer.reject(new SourceAway());
  expect(await stale).toBe(1);
  vi.advanceTimersByTime(1);
  const gone = s.cache.get("k", "k");
  s.call(2).answer.reject(new SourceAway());
  await expect(gone).rejects.toThrow(SourceAway);
});

test("while its source does not answer, nobody waits for it but the first, and it is believed as soon as it answers", async () => {
  const s = setup({ maxPending: 1 });
  await loaded(s);
  vi.advanceTimersByTime(100);
  expect(s.cache.get("k", "k")).toBe(1);
  await vi.advanceTimersByTimeAsync(850);
  s.call(1).answer.reject(new SourceAway());
  await vi.advanceTimersByTimeAsync(99);
  expect(s.cache.get("k", "k")).toBe(1);
  expect(s.cache.get("k", "k")).toBe(1);
  expect(s.calls).toHaveLength(3);
  s.call(2).answer.reject(new Error("no such token"));
  await vi.advanceTimersByTimeAsync(0);
  void Promise.resolve(s.cache.get("k", "k")).catch(() => {});
  expect(s.calls).toHaveLength(4);
});

test("a source that answers no is believed, whatever was known before", async () => {
  const s = setup();
  await loaded(s);
  vi.advanceTimersByTime(2000);
  const refused = s.cache.get("k", "k");
  s.call(1).answer.reject(new Error("no such token"));
  await expect(refused).rejects.toThrow("no such token");
});

test("each value has the lifetime that suits it", async () => {
  const s = setup();
  await loaded(s, "denied", -1);
  vi.advanceTimersByTime(5);
  const again = s.cache.get("denied", "denied");
  s.call(1).answer.resolve(3);
  expect(await again).toBe(3);
});

test("memory is bounded: what was loaded longest ago goes", async () => {
  const s = setup({ maxEntries: 2 });
  await loaded(s, "a");
  await loaded(s, "b");
  await loaded(s, "c");
  expect(s.cache.get("c", "c")).toBe(1);
  expect(s.cache.get("b", "b")).toBe(1);
  expect(s.calls).toHaveLength(3);
  void Promise.resolve(s.cache.get("a", "a")).catch(() => {});
  expect(s.calls).toHaveLength(4);
});

test("strangers cannot make us ask without end", () => {
  const s = setup({ maxPending: 2 });
  void s.cache.get("a", "a");
  void s.cache.get("b", "b");
  expect(() => s.cache.get("c", "c")).toThrow("Rate Exceeded.");
});
