/** Time as the adapters see it, injected so that tests decide how it passes. */
export interface Clock {
  /** Wall clock, epoch milliseconds: for what is written down (Leases, Events). */
  now(): number;
  /** Milliseconds of a clock that never jumps: for what is measured (deadlines, durations). */
  monotonic(): number;
  /** Calls back once after `ms`; the returned function cancels. */
  setTimeout(callback: () => void, ms: number): () => void;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout(callback, ms) {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`, or at once when the signal aborts. Never rejects: the caller looks at the signal. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}
