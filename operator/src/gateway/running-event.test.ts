import { expect, test } from "vitest";
import { FrameType, type Result } from "../api/environment-protocol.ts";
import { isResult } from "./agent-headers.ts";
import type { Invocation } from "./invocation.ts";
import { RunningEvent } from "./running-event.ts";

const header: Result = { requestId: "r", durationMs: 9.2, billedMs: 10, maxMemoryMb: 40, reusable: true };
const invocation = { requestId: "r", streaming: false, finish() {} } as unknown as Invocation;

/** An event that was sent at 100,000 ms, and whose result came so many milliseconds later. */
function answered(result: Partial<Result>, { after = 20, initMs = 0 } = {}) {
  const running = new RunningEvent({ invocation, sentAt: 100_000, initMs, credit: () => {} });
  const frame = { type: FrameType.result, header: { ...header, ...result }, body: new Uint8Array() } as Parameters<
    RunningEvent["answer"]
  >[0];
  return running.answer(frame, 100_000 + after);
}

test("what an agent measured is what is billed", () => {
  expect(answered({})).toMatchObject({ durationMs: 9.2, billedMs: 10 });
  // A time-out is billed whole, though it was enforced a moment early by this gateway's clock.
  expect(answered({ durationMs: 3_000, billedMs: 3_000 }, { after: 2_995 })).toMatchObject({ durationMs: 3_000, billedMs: 3_000 });
  expect(answered({ billedMs: 8_200, initDurationMs: 8_190 }, { initMs: 60_000 })).toMatchObject({ billedMs: 8_200 });
});

test("never more than the time that has passed: an agent runs beside user code", () => {
  const most = 100_000_000_000;
  expect(answered({ durationMs: most, billedMs: most })).toMatchObject({ durationMs: 1_020, billedMs: 1_020 });
  expect(answered({ billedMs: most }, { initMs: 60_000 })).toMatchObject({ billedMs: 61_020 });
});

test.each([{ billedMs: 1.5 }, { billedMs: 1e300 }, { billedMs: -1 }, { durationMs: 1e12 }, { initDurationMs: Number.NaN }])(
  "a result with %j is none",
  (bad) => {
    expect(isResult({ ...header, ...bad })).toBe(false);
  },
);
