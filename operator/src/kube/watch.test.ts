import { Readable } from "node:stream";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "./clock.ts";
import { KubeError } from "./errors.ts";
import type { KubeObject } from "./objects.ts";
import { watchEvents } from "./watch.ts";

const object = (name: string, resourceVersion: string): KubeObject => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, resourceVersion },
});
const open = (body: Readable, signal = new AbortController().signal) =>
  watchEvents(body, { idleTimeoutMs: 10_000, signal, what: "configmaps", clock: systemClock });

async function failureOf(events: AsyncGenerator): Promise<KubeError> {
  try {
    for await (const _ of events);
  } catch (error) {
    if (error instanceof KubeError) return error;
    throw error;
  }
  throw new Error("the watch did not fail");
}

it("gives the same events however the bytes are cut into chunks", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ minLength: 1, unit: "grapheme" }), { maxLength: 8 }),
      fc.array(fc.nat(2_000), { maxLength: 12 }),
      async (names, cuts) => {
        const events = names.map((name, i) => ({ type: "ADDED", object: object(name, String(i)) }));
        const bytes = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
        const edges = [0, ...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length];
        const chunks = edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
        const seen = [];
        for await (const event of open(Readable.from(chunks))) seen.push(event);
        expect(seen).toEqual(events);
      },
    ),
  );
});

it("leaves out an event that was cut off at the end: it comes again after the last complete one", async () => {
  const whole = JSON.stringify({ type: "ADDED", object: object("a", "1") });
  const seen = [];
  for await (const event of open(Readable.from([Buffer.from(`${whole}\n{"type":"ADDED","obj`)]))) seen.push(event);
  expect(seen).toHaveLength(1);
});

it.each([
  [
    "an expired version",
    { type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old" } },
    { status: 410, gone: true },
  ],
  [
    "an error of the server",
    { type: "ERROR", object: { kind: "Status", code: 500, reason: "InternalError" } },
    { status: 500, gone: false },
  ],
  ["an event without an object", { type: "ADDED" }, { status: 0 }],
  ["an object without a name", { type: "ADDED", object: { metadata: { resourceVersion: "1" } } }, { status: 0 }],
  ["an event of an unknown type", { type: "RENAMED", object: object("a", "1") }, { status: 0 }],
  ["a line that is no JSON", "<html>", { status: 0, reason: "BadAnswer" }],
])("fails on %s", async (_, line, expected) => {
  const text = typeof line === "string" ? line : JSON.stringify(line);
  expect(await failureOf(open(Readable.from([Buffer.from(`${text}\n`)])))).toMatchObject({ retryable: true, ...expected });
});

describe("silence", () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it("of the whole idle time ends the watch, and any byte before puts it off", async () => {
    const body = new Readable({ read() {} });
    const ended = failureOf(open(body));
    for (let i = 0; i < 5; i++) {
      await vi.advanceTimersByTimeAsync(9_000);
      body.push("\n");
    }
    await vi.advanceTimersByTimeAsync(9_999);
    expect(body.destroyed).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await ended).toMatchObject({ reason: "Idle", status: 0 });
  });

  it("is left at once when the caller gives up, and no timer stays behind", async () => {
    const stop = new AbortController();
    const ended = failureOf(open(new Readable({ read() {} }), stop.signal));
    await vi.advanceTimersByTimeAsync(0);
    stop.abort();
    expect(await ended).toMatchObject({ reason: "Aborted" });
    expect(vi.getTimerCount()).toBe(0);
  });
});
