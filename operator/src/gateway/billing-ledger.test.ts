import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BusError } from "../bus/index.ts";
import { systemClock } from "../kube/clock.ts";
import { createGatewayMetrics } from "../telemetry/gateway-metrics.ts";
import { createLogger } from "../telemetry/log.ts";
import { BillingLedger } from "./billing-ledger.ts";

beforeEach(() => void vi.useFakeTimers({ now: Date.parse("2026-11-23T23:59:50Z") }));
afterEach(() => void vi.useRealTimers());

const event = { durationMs: 9.5, billedMs: 10, memoryMb: 128, functionError: false };

/** What NATS keeps: the last figures of each writer. */
class Store {
  readonly kept = new Map<string, unknown>();
  away = false;
  writes = 0;

  async write({ day, namespace, writer }: { day: string; namespace: string; writer: string }, figures: unknown): Promise<void> {
    if (this.away) throw new BusError("NATS is away", { retryable: true });
    this.writes++;
    this.kept.set(`${day}/${namespace}/${writer}`, JSON.parse(JSON.stringify(figures)));
  }

  async read({ day, namespace }: { day: string; namespace: string }): Promise<unknown[]> {
    return [...this.kept].filter(([key]) => key.startsWith(`${day}/${namespace}/`)).map(([, figures]) => figures);
  }
}

let runs = 0;
function setup(store = new Store()) {
  const run = ++runs;
  const ledger = new BillingLedger({
    store,
    instance: "gateway-1",
    clock: systemClock,
    random: { uuid: () => "", hex: () => `run${run}`, chance: () => 0.5 },
    log: createLogger({ component: "gateway", level: "error", destination: { write: () => {} } }),
  });
  const metrics = ledger.observing(createGatewayMetrics());
  ledger.start();
  const report = (day: string) => ledger.report({ day, namespace: "team", accountId: "000000000001" });
  return { ledger, store, report, greet: metrics.forFunction("team", "greet") };
}

test("what is counted in the metrics is in the report, throttles without a bill", async () => {
  const { greet, report } = setup();
  greet.finished(event);
  greet.finished({ ...event, billedMs: 5, functionError: true });
  greet.throttled();
  const { functions } = await report("2026-11-23");
  expect(functions).toEqual([
    { functionName: "greet", invocations: 2, errors: 1, throttles: 1, billedDurationMs: 15, gbSeconds: (15 * 128) / 1024 / 1000 },
  ]);
});

test("an event belongs to the day on which it ended", async () => {
  const { greet, report } = setup();
  greet.finished(event);
  await vi.advanceTimersByTimeAsync(20_000);
  greet.finished({ ...event, billedMs: 7 });
  expect((await report("2026-11-23")).total.billedDurationMs).toBe(10);
  expect((await report("2026-11-24")).total.billedDurationMs).toBe(7);
});

test("what a former run of the same gateway counted stays", async () => {
  const store = new Store();
  const first = setup(store);
  first.greet.finished(event);
  await first.ledger.stop();
  const second = setup(store);
  second.greet.finished(event);
  expect((await second.report("2026-11-23")).total.invocations).toBe(2);
});

test("it is written soon after it was counted, and only when it changed", async () => {
  const { greet, store } = setup();
  greet.finished(event);
  await vi.advanceTimersByTimeAsync(2_100);
  expect(store.writes).toBe(1);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(store.writes).toBe(1);
});

test("nothing is lost while NATS is away", async () => {
  const { greet, store, report } = setup();
  store.away = true;
  for (let i = 0; i < 100; i++) {
    greet.finished(event);
    await vi.advanceTimersByTimeAsync(50);
  }
  store.away = false;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(store.writes).toBeGreaterThan(0);
  expect((await report("2026-11-23")).total.billedDurationMs).toBe(1000);
});

test("figures that cannot be read are left out, the others are not", async () => {
  const { greet, store, report } = setup();
  store.kept.set("2026-11-23/team/other", { functions: { greet: { invocations: "many" } } });
  greet.finished(event);
  expect((await report("2026-11-23")).total.invocations).toBe(1);
});

test("a figure of one function that cannot be read loses those of no other", async () => {
  const { greet, store, report, ledger } = setup();
  greet.finished(event);
  await ledger.stop();
  const [[key, figures] = ["", {}]] = [...store.kept];
  const { functions } = figures as { functions: object };
  store.kept.set(key, { functions: { ...functions, bad: { billedMs: 1e300 } } });
  expect((await report("2026-11-23")).functions.map(({ functionName }) => functionName)).toEqual(["greet"]);
});

test("stopping writes what is left", async () => {
  const { greet, store, ledger } = setup();
  greet.finished(event);
  await ledger.stop();
  expect(store.writes).toBe(1);
});
