import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type AgentState, type Frame, FrameType } from "../api/environment-protocol.ts";
import { systemClock } from "../kube/clock.ts";
import { createLogger } from "../telemetry/log.ts";
import type { ReceivedFrame } from "./agent-server.ts";
import { Environment, type EnvironmentDeps, type EnvironmentHost, type InitFailure } from "./environment.ts";
import type { Runnable } from "./function-entry.ts";
import type { PodCondition } from "./pod.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const ASSIGNMENT = "fn/1/r";
const runnable = { assignmentId: ASSIGNMENT, version: "1", effective: { timeout: 3 } } as Runnable;
const running: PodCondition = { ended: "running", acknowledged: "acknowledged", started: true };

function setup({ declared = true, owned = true } = {}) {
  const told: (InitFailure | undefined)[] = [];
  const deleted: boolean[] = [];
  const heard: string[] = [];
  const sent: Frame[] = [];
  const hears = (what: string) => () => void heard.push(what);
  const host: EnvironmentHost = {
    offered: hears("offered"),
    withdrawn: hears("withdrawn"),
    requeued: hears("requeued"),
    startFailed: (_, { why }) => void heard.push(`startFailed ${why}`),
    left: hears("left"),
    obstructed: hears("obstructed"),
    epochAnswered() {},
    moved() {},
    started: hears("started"),
    finished: hears("finished"),
    assignment: () => ({ assignmentId: ASSIGNMENT, code: { sha256: "", size: 1 } }) as never,
  };
  const deps: EnvironmentDeps = {
    clock: systemClock,
    log: createLogger({ component: "gateway", level: "silent" }),
    startTimeoutMs: 20_000,
    pools: { moved() {}, startFailed() {} },
    epoch: () => 1,
    heardEpoch() {},
    packageBytes: () => undefined,
    claimed: () => false,
    returned() {},
    assignmentSent() {},
    becameFunction() {},
    initialized: (_, failure) => void told.push(failure),
    resizeRefused() {},
    deletePod: (_, now) => void deleted.push(now),
    followRole: () => () => {},
  };
  const environment = new Environment(
    { namespace: "team", podName: "f-1", podUid: "uid-1" },
    {
      owned,
      assignmentId: ASSIGNMENT,
      runnable,
      pool: undefined,
      provisioned: declared ? "1" : undefined,
      expectedMs: 20_000,
      createdAt: Date.now(),
    },
    deps,
  );
  environment.attach(host, runnable);
  const say = (frame: Frame) => environment.frame({ ...frame, body: new Uint8Array() } as ReceivedFrame);
  const assigned = (over: object = {}) =>
    say({ type: FrameType.assigned, header: { assignmentId: ASSIGNMENT, initDurationMs: 5, ...over } });
  const connect = (state: AgentState = "unassigned") => environment.connect({ send: (frame) => void sent.push(frame), close() {} }, state);
  return { environment, told, deleted, heard, sent, connect, assigned, say };
}

describe("an environment of provisioned concurrency", () => {
  test("is told to be ready once it has initialised", () => {
    const t = setup();
    t.connect();
    expect(t.told).toEqual([]);
    t.assigned();
    expect(t.told).toEqual([undefined]);
    expect(t.heard).toEqual(["started", "offered"]);
  });

  test("whose code fails while it starts takes no events: the reason is told, and its pod left to be looked at", () => {
    const t = setup();
    t.connect();
    t.assigned({ initError: { errorType: "ValueError", message: "no such thing" } });
    expect(t.told).toEqual([{ reason: "FunctionError", message: "ValueError: no such thing" }]);
    expect(t.heard).toEqual([]);
    expect(t.sent.at(-1)).toMatchObject({ type: FrameType.shutdown, header: { reason: "failed" } });
    expect(t.deleted).toEqual([]);
  });

  test("whose package cannot be put in place is told to be so", () => {
    const t = setup();
    t.connect();
    t.say({
      type: FrameType.assignmentFailed,
      header: { assignmentId: ASSIGNMENT, kind: "package", errorType: "InvalidZipFileException", message: "no zip" },
    });
    expect(t.told).toEqual([{ reason: "PackageFailed", message: "InvalidZipFileException: no zip" }]);
    expect([t.heard, t.deleted]).toEqual([["startFailed package"], []]);
  });

  test("that never connects is told to be so, with what stands in the way", async () => {
    const t = setup();
    t.environment.podChanged({ ...running, started: false, waiting: "ErrImagePull: no such image" });
    await vi.advanceTimersByTimeAsync(20_000);
    t.environment.tick(performance.now());
    expect(t.told).toEqual([{ reason: "StartFailed", message: "ErrImagePull: no such image" }]);
    expect(t.deleted).toEqual([]);
  });

  test("may initialise for longer than others", async () => {
    const t = setup();
    t.connect();
    await vi.advanceTimersByTimeAsync(120_000);
    t.environment.tick(performance.now());
    expect(t.environment.phase).toBe("assigning");
  });

  test("that is lost later is deleted like any other", async () => {
    const t = setup();
    t.connect();
    t.assigned();
    t.environment.disconnected("silent");
    await vi.advanceTimersByTimeAsync(10_000);
    t.environment.tick(performance.now());
    expect([t.told, t.deleted]).toEqual([[undefined], [true]]);
  });
});

describe("an environment of provisioned concurrency that a gateway has assigned which is gone", () => {
  const broken = { initError: { errorType: "ValueError", message: "no such thing" } };
  const pass = async (t: ReturnType<typeof setup>, ms: number) => {
    await vi.advanceTimersByTimeAsync(ms);
    t.environment.tick(performance.now());
  };

  test("is told to be ready by the owner, once, when that one would have told it; nobody measures its start again", async () => {
    const t = setup();
    t.connect("busy");
    t.assigned();
    t.say({ type: FrameType.stateChange, header: { state: "assigned", epoch: 1 } });
    expect([t.told, t.heard]).toEqual([[], ["offered"]]);
    await pass(t, 2_000);
    t.assigned();
    await pass(t, 2_000);
    expect([t.told, t.heard]).toEqual([[undefined], ["offered"]]);
  });

  test("is told to be ready by whoever becomes the owner, and by nobody else", async () => {
    const t = setup({ owned: false });
    t.connect("busy");
    t.assigned();
    await pass(t, 10_000);
    expect(t.told).toEqual([]);
    t.environment.apply({ type: "owned", owned: true });
    await pass(t, 250);
    expect(t.told).toEqual([undefined]);
  });

  test("takes no event when its code failed: the reason is told, and its pod left to be looked at", () => {
    const t = setup();
    // As it says of itself, it could take one: but first it tells what became of its assignment.
    t.connect("assigned");
    expect(t.heard).toEqual([]);
    t.assigned(broken);
    t.say({ type: FrameType.stateChange, header: { state: "assigned", epoch: 1 } });
    expect(t.told).toEqual([{ reason: "FunctionError", message: "ValueError: no such thing" }]);
    expect([t.heard, t.deleted]).toEqual([[], []]);
    expect(t.sent.at(-1)).toMatchObject({ type: FrameType.shutdown, header: { reason: "failed" } });
  });

  test("is told to have no package with the agent's reason, and its pod left, by the owner alone", () => {
    const header = { assignmentId: ASSIGNMENT, kind: "package", errorType: "InvalidZipFileException", message: "no zip" } as const;
    const hear = (owned: boolean) => {
      const t = setup({ owned });
      t.connect("failed");
      t.say({ type: FrameType.assignmentFailed, header });
      t.say({ type: FrameType.stateChange, header: { state: "failed", epoch: 1 } });
      return [t.told, t.heard, t.deleted];
    };
    expect(hear(true)).toEqual([[{ reason: "PackageFailed", message: "InvalidZipFileException: no zip" }], ["startFailed package"], []]);
    expect(hear(false)).toEqual([[], [], []]);
  });
});

test("of any other environment nothing is told, and code that fails while it starts is tried again by its events", () => {
  const t = setup({ declared: false });
  t.connect();
  t.assigned({ initError: { errorType: "ValueError", message: "no such thing" } });
  expect(t.told).toEqual([]);
  expect(t.heard).toEqual(["started", "offered"]);
});
