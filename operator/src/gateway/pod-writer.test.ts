import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../kube/clock.ts";
import { KubeError } from "../kube/errors.ts";
import type { KubeObject } from "../kube/objects.ts";
import { createLogger } from "../telemetry/log.ts";
import type { FunctionEntry } from "./function-registry.ts";
import { PodWriter } from "./pod-writer.ts";
import { systemRandom } from "./random.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const away = new KubeError("no answer", { status: 0, reason: "ECONNRESET" });
const entry = {
  key: "team/f",
  namespace: "team",
  name: "f",
  functionName: "f",
  uid: "u",
  created: "",
  state: { name: "Active" },
  versions: new Map(),
  pending: new Map(),
  aliases: new Map(),
} satisfies FunctionEntry;
const runnable = {
  assignmentId: "u/$LATEST/1",
  version: "$LATEST",
  effective: { runtime: "python3.11", memorySize: 128, ephemeralStorageMb: 512, architectures: ["x86_64"], environment: {} } as never,
};
const identity = { namespace: "team", podName: "f-1", podUid: "uid", assignmentId: "u/$LATEST/1" };

/** A writer whose calls to the API server end as given, one after the other. */
function setup({
  creates = [],
  deletes = [],
  existing,
}: {
  creates?: ("ok" | Error)[];
  deletes?: (boolean | Error)[];
  existing?: (name: string) => KubeObject | undefined;
}) {
  const calls = { create: [] as string[], env: [] as unknown[], delete: [] as (number | undefined)[] };
  const end = <T>(outcome: T | Error | undefined): T => {
    if (outcome instanceof Error || outcome === undefined) throw outcome ?? new Error("one call too many");
    return outcome;
  };
  const writer = new PodWriter({
    clock: systemClock,
    random: systemRandom,
    log: createLogger({ component: "gateway", level: "silent" }),
    images: { "python3.11": "image" },
    settings: {
      overcommit: { memory: 1, cpu: 1 },
      agentAllowance: { memoryMb: 64, cpuMillis: 250 },
      gateway: { host: "g", port: 1 },
      imagePullPolicy: "Never",
    },
    gatewaysFor: () => ["10.0.0.1:8081", "10.0.0.2:8081"],
    client: {
      async create(_resource, object) {
        calls.create.push(object.metadata.name);
        calls.env.push((object as unknown as { spec: { containers: { env: unknown }[] } }).spec.containers[0]?.env);
        end(creates.shift());
        return { ...object, metadata: { ...object.metadata, uid: "new" } };
      },
      async get<T extends KubeObject>(_resource: unknown, ref: { name: string }) {
        return existing?.(ref.name) as T | undefined;
      },
      async delete(_resource, ref) {
        calls.delete.push(ref.gracePeriodSeconds);
        return end(deletes.shift());
      },
    },
  });
  return { writer, calls };
}

test("an answer that was lost does not make a second pod", async () => {
  const alreadyThere = new KubeError("there", { status: 409, reason: "AlreadyExists" });
  const { writer, calls } = setup({
    creates: [away, alreadyThere],
    existing: (name) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "team", uid: "first", annotations: { "kappa.dev/assignment": "u/$LATEST/1" } },
    }),
  });
  const made = writer.create(entry, runnable, []);
  await vi.advanceTimersByTimeAsync(1_000);
  expect((await made).podUid).toBe("first");
  expect(new Set(calls.create).size).toBe(1);
});

test("a pod is told which gateways live, so that its start does not hang on the cluster's DNS", async () => {
  const { writer, calls } = setup({ creates: ["ok"] });
  await writer.create(entry, runnable, []);
  expect(calls.env[0]).toContainEqual({ name: "KAPPA_GATEWAY_ADDRESSES", value: "10.0.0.1:8081,10.0.0.2:8081" });
});

test("an API server that stays away is reported after a few attempts, one that refuses at once", async () => {
  const gone = setup({ creates: [away, away, away] });
  const failing = gone.writer.create(entry, runnable, []).catch((error: Error) => error);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(await failing).toBe(away);
  const refused = new KubeError("quota", { status: 403, reason: "Forbidden" });
  await expect(setup({ creates: [refused] }).writer.create(entry, runnable, [])).rejects.toBe(refused);
});

test("a deletion is tried until it succeeds", async () => {
  const { writer, calls } = setup({ deletes: [away, away, true] });
  writer.remove(identity, undefined);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(calls.delete).toHaveLength(3);
});

test("a second wish to delete is the first one, unless it is more urgent", async () => {
  const { writer, calls } = setup({ deletes: [away, true, true, true] });
  writer.remove(identity, undefined);
  writer.remove(identity, undefined);
  writer.remove(identity, 0);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(calls.delete).toEqual([undefined, 0, undefined]);
});

test("a writer that stops leaves the rest to its successor", async () => {
  const { writer, calls } = setup({ deletes: [away] });
  writer.remove(identity, undefined);
  await vi.advanceTimersByTimeAsync(0);
  writer.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(calls.delete).toHaveLength(1);
});
