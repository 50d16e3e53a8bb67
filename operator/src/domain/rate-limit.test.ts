import fc from "fast-check";
import { expect, test } from "vitest";
import { requestRate, SCALE_OUT, TokenBucket } from "./rate-limit.ts";

test("a bucket gives what it holds at once, and then what the rate refills", () => {
  const bucket = new TokenBucket({ capacity: 3, perSecond: 2, now: 0 });
  expect([1, 2, 3, 4].map(() => bucket.take(0))).toEqual([true, true, true, false]);
  expect([bucket.take(499), bucket.take(500), bucket.take(500)]).toEqual([false, true, false]);
});

test("what is not used in a long time does not gather beyond the capacity", () => {
  const bucket = new TokenBucket({ capacity: 2, perSecond: 1, now: 0 });
  expect([1, 2, 3].map(() => bucket.take(1_000_000))).toEqual([true, true, false]);
});

test("it says how long until there is one again", () => {
  const bucket = new TokenBucket({ capacity: 1, perSecond: 4, now: 0 });
  expect(bucket.waitMs(0)).toBe(0);
  bucket.take(0);
  expect(bucket.waitMs(100)).toBeCloseTo(150);
  expect(new TokenBucket({ capacity: 0, perSecond: 0, now: 0 }).waitMs(0)).toBe(Number.POSITIVE_INFINITY);
});

test("a clock that seems to go back refills nothing", () => {
  const bucket = new TokenBucket({ capacity: 1, perSecond: 1, now: 5_000 });
  bucket.take(5_000);
  expect([bucket.take(0), bucket.take(5_500), bucket.take(6_000)]).toEqual([false, false, true]);
});

test("over any time, however it is asked, no more passes than the capacity and what the rate gives", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 50 }),
      fc.integer({ min: 0, max: 100 }),
      fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 200 }),
      (capacity, perSecond, pauses) => {
        const bucket = new TokenBucket({ capacity, perSecond, now: 0 });
        let now = 0;
        let passed = 0;
        for (const pause of pauses) {
          now += pause;
          if (bucket.take(now)) passed++;
          expect(passed).toBeLessThanOrEqual(capacity + (now * perSecond) / 1000 + 1e-6);
        }
      },
    ),
  );
});

test("Lambda's rates: 1,000 environments in 10 seconds, ten requests per second for each unit of concurrency", () => {
  expect(SCALE_OUT.capacity).toBe(1_000);
  expect(SCALE_OUT.perSecond * 10).toBe(1_000);
  expect(requestRate(10)).toEqual({ capacity: 100, perSecond: 100 });
});
