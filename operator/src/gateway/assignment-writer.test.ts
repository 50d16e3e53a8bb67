import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../kube/clock.ts";
import { KubeError } from "../kube/errors.ts";
import { createLogger } from "../telemetry/log.ts";
import { AssignmentWriter } from "./assignment-writer.ts";
import type { FunctionEntry, Runnable } from "./function-entry.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const identity = { namespace: "team", podName: "pool-1", podUid: "uid-1" };
const fn = { uid: "fn-uid", name: "hello", namespace: "team" } as FunctionEntry;
const runnable = { assignmentId: "fn-uid/2/r", version: "2", effective: { memorySize: 256 } } as Runnable;
const away = () => new KubeError("nobody answers", { status: 0, reason: "ECONNREFUSED" });

/** A writer whose writes end as `answers` says, one after the other, and then well. */
function setup(answers: { merge?: Error[]; strategic?: Error[] } = {}, pod: object = { metadata: { name: "pool-1", uid: "uid-1" } }) {
  const merges: [string, unknown][] = [];
  const strategics: [string, unknown][] = [];
  const refusals: string[] = [];
  const writer = new AssignmentWriter({
    clock: systemClock,
    log: createLogger({ component: "gateway", level: "silent" }),
    settings: { overcommit: { memory: 0.5, cpu: 0.1 }, agentAllowance: { memoryMb: 64, cpuMillis: 250 } },
    client: {
      get: async () => pod as never,
      mergePatch: async (_, { name }, patch) => {
        merges.push([name, patch]);
        const error = answers.merge?.shift();
        if (error) throw error;
        return undefined as never;
      },
      strategicPatch: async (_, { name, subresource }, patch) => {
        strategics.push([`${name}/${subresource}`, patch]);
        const error = answers.strategic?.shift();
        if (error) throw error;
        return undefined as never;
      },
    },
  });
  const assigned = () => void writer.assigned(identity, fn, runnable, (why) => refusals.push(why));
  return { writer, merges, strategics, refusals, assigned };
}

test("what an environment has become is written in two requests, when its first event is on its way", async () => {
  const t = setup();
  t.assigned();
  await vi.advanceTimersByTimeAsync(50);
  expect([...t.merges, ...t.strategics]).toEqual([]);
  await vi.advanceTimersByTimeAsync(100);
  expect(t.merges).toEqual([
    [
      "pool-1",
      {
        metadata: {
          uid: "uid-1",
          annotations: { "kappa.dev/assignment": "fn-uid/2/r", "kappa.dev/function": "hello", "kappa.dev/version": "2" },
          ownerReferences: [expect.objectContaining({ kind: "Function", name: "hello", uid: "fn-uid" })],
        },
      },
    ],
  ]);
  expect(t.strategics).toEqual([
    [
      "pool-1/resize",
      {
        spec: {
          containers: [expect.objectContaining({ resources: expect.objectContaining({ limits: { memory: "320Mi", cpu: "395m" } }) })],
        },
      },
    ],
  ]);
});

test("while the API server is away it is tried again, less and less often", async () => {
  const t = setup({ merge: Array.from({ length: 5 }, away), strategic: [away()] });
  t.assigned();
  await vi.advanceTimersByTimeAsync(1_000);
  expect([t.merges.length, t.strategics.length]).toEqual([2, 2]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect([t.merges.length, t.strategics.length, t.refusals.length]).toEqual([6, 2, 0]);
});

test("a pod says what it was assigned when it has its size, so that whoever reads it finds nothing missing", async () => {
  const t = setup({ strategic: [away(), away()] });
  t.assigned();
  await vi.advanceTimersByTimeAsync(400);
  expect([t.strategics.length, t.merges.length]).toEqual([2, 0]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect([t.strategics.length, t.merges.length]).toEqual([3, 1]);
});

test("a size that the API server does not allow is told, and the assignment written all the same", async () => {
  const t = setup({ strategic: [new KubeError("exceeded quota", { status: 403, reason: "Forbidden" })] });
  t.assigned();
  await vi.advanceTimersByTimeAsync(1_000);
  expect(t.refusals).toEqual(["exceeded quota"]);
  expect([t.merges.length, t.strategics.length]).toEqual([1, 1]);
});

test.each([
  ["gone", new KubeError("not found", { status: 404, reason: "NotFound" })],
  [
    "another one of that name",
    new KubeError("Precondition failed: UID in precondition: uid-1, UID in object meta: x", { status: 409, reason: "Conflict" }),
  ],
])("nothing more is written to a pod that is %s", async (_, error) => {
  const t = setup({ merge: [error], strategic: [error] });
  t.assigned();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([t.merges.length, t.strategics.length, t.refusals.length]).toEqual([1, 1, 0]);
});

test("a gateway that stops tries no further", async () => {
  const t = setup({ merge: Array.from({ length: 100 }, away), strategic: Array.from({ length: 100 }, away) });
  t.assigned();
  await vi.advanceTimersByTimeAsync(200);
  t.writer.stop();
  const before = t.merges.length;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(t.merges.length).toBe(before);
});

test.each([
  ["ready", undefined, { type: "kappa.dev/Initialized", status: "True", reason: "Initialized" }],
  [
    "not",
    { reason: "FunctionError", message: "boom" },
    { type: "kappa.dev/Initialized", status: "False", reason: "FunctionError", message: "boom" },
  ],
])("a declared environment is %s", async (_, failure, condition) => {
  const t = setup();
  await t.writer.initialized(identity, failure);
  expect(t.strategics).toEqual([["pool-1/status", { status: { conditions: [expect.objectContaining(condition)] } }]]);
});

test.each<[string, object, string[]]>([
  ["what its pod says already is not written again", { uid: "uid-1", status: "True" }, []],
  ["what its pod says otherwise is", { uid: "uid-1", status: "False" }, ["pool-1/status"]],
  ["another pod of its name is left alone", { uid: "uid-2" }, []],
])("of a declared environment %s", async (_, { uid, status }: { uid?: string; status?: string }, written) => {
  const conditions = status === undefined ? [] : [{ type: "kappa.dev/Initialized", status }];
  const t = setup({}, { metadata: { name: "pool-1", uid }, status: { conditions } });
  await t.writer.initialized(identity, undefined);
  expect(t.strategics.map(([where]) => where)).toEqual(written);
});
