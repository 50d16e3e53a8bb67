import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ReconcileResult, WorkQueue, type WorkQueueOptions, type WorkQueueSample } from "./work-queue.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A queue whose reconciliations take as long as the test says and whose delays are not random. */
function queueOf(
  reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult | undefined>,
  options: Partial<WorkQueueOptions> = {},
) {
  const samples: WorkQueueSample[] = [];
  const queue = new WorkQueue({
    name: "test",
    workers: 2,
    reconcile,
    backoff: { baseMs: 200, maxMs: 10_000 },
    random: () => 0,
    onResult: (sample) => samples.push(sample),
    ...options,
  });
  queue.start();
  return { queue, samples };
}
const wait = (ms: number) => new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), ms));

describe("groups", () => {
  const groupOf = (key: string) => key.slice(0, 1);

  it("have one key in work at a time, though workers are free", async () => {
    const runs: string[] = [];
    const { queue } = queueOf(
      async (key) => {
        runs.push(key);
        return wait(key.startsWith("a") ? 1_000 : 10);
      },
      { workers: 3, groupOf },
    );
    for (const key of ["a1", "a2", "a3", "a2"]) queue.add(key);
    await vi.advanceTimersByTimeAsync(100);
    expect([queue.running, queue.depth]).toEqual([1, 2]);
    queue.add("b1");
    await vi.runAllTimersAsync();
    expect(runs).toEqual(["a1", "b1", "a2", "a3"]);
    expect([queue.running, queue.depth]).toEqual([0, 0]);
  });

  it("take turns when there are more of them than workers", async () => {
    const runs: string[] = [];
    const { queue } = queueOf(
      async (key) => {
        runs.push(key);
        return wait(10);
      },
      { workers: 1, groupOf },
    );
    for (const key of ["a1", "a2", "a3", "b1", "b2", "c1"]) queue.add(key);
    await vi.runAllTimersAsync();
    expect(runs).toEqual(["a1", "b1", "c1", "a2", "b2", "a3"]);
  });

  it("lose no key that fails or is added again while another of its group is in work", async () => {
    const runs: string[] = [];
    const { queue } = queueOf(
      async (key) => {
        runs.push(key);
        await wait(10);
        if (runs.length === 1) throw new Error("not yet");
        return undefined;
      },
      { groupOf },
    );
    queue.add("a1");
    queue.add("a2");
    await vi.advanceTimersByTimeAsync(15);
    queue.add("a2");
    await vi.runAllTimersAsync();
    expect(runs).toEqual(["a1", "a2", "a2", "a1"]);
  });
});

describe("a key", () => {
  it("that is added many times before a worker takes it is worked on once", async () => {
    const runs: string[] = [];
    const { queue } = queueOf(async (key) => {
      runs.push(key);
      return wait(10);
    });
    for (const key of ["a", "b", "c", "c", "c", "c"]) queue.add(key);
    expect(queue.depth).toBe(1);
    await vi.runAllTimersAsync();
    expect(runs).toEqual(["a", "b", "c"]);
  });

  it("that is added while it is worked on comes again afterwards, once", async () => {
    let running = 0;
    let most = 0;
    const { queue, samples } = queueOf(async () => {
      most = Math.max(most, ++running);
      await wait(10);
      running--;
      return undefined;
    });
    queue.add("a");
    await vi.advanceTimersByTimeAsync(1);
    queue.add("a");
    queue.add("a");
    await vi.runAllTimersAsync();
    expect(samples).toHaveLength(2);
    expect(most).toBe(1);
  });

  it("that fails comes again after 100, 200, 400 ms …, and starts over after a success", async () => {
    const times: number[] = [];
    const { queue, samples } = queueOf(async () => {
      times.push(Date.now());
      if (times.length <= 4) throw new Error("not yet");
      return undefined;
    });
    queue.add("a");
    await vi.runAllTimersAsync();
    expect(times.map((t, i) => t - (times[i - 1] ?? t))).toEqual([0, 100, 200, 400, 800]);
    expect(samples.map((s) => s.failures)).toEqual([1, 2, 3, 4, 0]);
    expect(samples.map((s) => s.retryAfterMs)).toEqual([100, 200, 400, 800, undefined]);
    expect(samples.at(-1)).toMatchObject({ outcome: "success" });
  });

  it("that fails does not hold up others", async () => {
    const done: string[] = [];
    const { queue } = queueOf(async (key) => {
      if (key.startsWith("bad")) throw new Error("always");
      done.push(key);
      return undefined;
    });
    for (let i = 0; i < 10; i++) {
      queue.add(`bad${i}`);
      queue.add(`good${i}`);
    }
    await vi.advanceTimersByTimeAsync(0);
    expect(done).toHaveLength(10);
  });

  it("that waits after a failure is taken at once when it changes", async () => {
    let failing = true;
    const { queue, samples } = queueOf(async () => {
      if (failing) throw new Error("not yet");
      return undefined;
    });
    queue.add("a");
    await vi.advanceTimersByTimeAsync(50);
    failing = false;
    queue.add("a");
    await vi.advanceTimersByTimeAsync(0);
    expect(samples.map((s) => s.outcome)).toEqual(["error", "success"]);
    await vi.runAllTimersAsync();
    expect(samples).toHaveLength(2);
  });

  it("comes again when its reconciler asked for it, and a change before that takes its place", async () => {
    const times: number[] = [];
    const start = Date.now();
    const { queue, samples } = queueOf(async () => {
      times.push(Date.now() - start);
      return { requeueAfterMs: 1_000 };
    });
    queue.add("a");
    await vi.advanceTimersByTimeAsync(1_500);
    queue.add("a");
    await vi.advanceTimersByTimeAsync(1_400);
    expect(times).toEqual([0, 1_000, 1_500, 2_500]);
    expect(samples.every((s) => s.outcome === "requeue")).toBe(true);
    await queue.stop();
  });

  it("with several delays comes at the earliest", async () => {
    const { queue, samples } = queueOf(async () => undefined);
    queue.addAfter("a", 500);
    queue.addAfter("a", 100);
    queue.addAfter("a", 300);
    await vi.advanceTimersByTimeAsync(100);
    expect(samples).toHaveLength(1);
    await vi.runAllTimersAsync();
    expect(samples).toHaveLength(1);
  });
});

describe("the queue", () => {
  it("does nothing before it is started, and works off what was added", async () => {
    const runs: string[] = [];
    const queue = new WorkQueue({
      name: "test",
      workers: 1,
      reconcile: async (key) => {
        runs.push(key);
      },
    });
    queue.add("a");
    queue.add("b");
    await vi.advanceTimersByTimeAsync(1_000);
    expect(runs).toEqual([]);
    queue.start();
    await vi.advanceTimersByTimeAsync(0);
    expect(runs).toEqual(["a", "b"]);
  });

  it("stops taking keys, tells the running reconciliation, and waits for it", async () => {
    let aborted = false;
    const { queue, samples } = queueOf(async (_, signal) => {
      signal.addEventListener("abort", () => {
        aborted = true;
      });
      return wait(100);
    });
    for (const key of ["a", "b", "c"]) queue.add(key);
    await vi.advanceTimersByTimeAsync(10);
    let stopped = false;
    const stopping = Promise.all([queue.stop(), queue.stop()]).then(() => {
      stopped = true;
    });
    await vi.advanceTimersByTimeAsync(89);
    expect([aborted, stopped]).toEqual([true, false]);
    await vi.advanceTimersByTimeAsync(1);
    await stopping;
    queue.add("d");
    queue.addAfter("e", 10);
    await vi.runAllTimersAsync();
    expect(samples.map((s) => s.key).sort()).toEqual(["a", "b"]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("never works on one key twice at a time, never on more keys than it has workers, and always looks after the last change", async () => {
    type Step = { key: string; at: number };
    const step = fc.record({ key: fc.constantFrom("a", "b", "c", "d"), at: fc.nat(2_000) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 3 }),
        fc.infiniteStream(fc.nat(90)),
        fc.infiniteStream(fc.boolean()),
        async (steps, workers, durations, fails) => {
          const running = new Set<string>();
          // Noted, not asserted, inside of a reconciler: what it throws is only retried.
          const violations: string[] = [];
          const seen = new Map<string, number>();
          const start = Date.now();
          const { queue } = queueOf(
            async (key) => {
              if (running.has(key)) violations.push(`${key} twice`);
              running.add(key);
              if (running.size > workers) violations.push(`${running.size} at a time`);
              const began = Date.now() - start;
              await wait(durations.next().value ?? 0);
              running.delete(key);
              if (fails.next().value) throw new Error("not this time");
              seen.set(key, began);
              return undefined;
            },
            { workers, onResult: undefined },
          );
          for (const { key, at } of steps as Step[]) setTimeout(() => queue.add(key), at);
          await vi.advanceTimersByTimeAsync(600_000);
          for (const { key, at } of steps) expect(seen.get(key)).toBeGreaterThanOrEqual(at);
          expect(violations).toEqual([]);
          expect([queue.depth, queue.running]).toEqual([0, 0]);
          await queue.stop();
        },
      ),
      { numRuns: 60 },
    );
  });
});
