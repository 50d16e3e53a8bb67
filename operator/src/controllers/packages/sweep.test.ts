import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Function as LambdaFunction, LayerVersion, Version } from "../../api/types.generated.ts";
import type { Controller } from "../context.ts";
import { FakeCache, fakeContext } from "../testing/fakes.ts";
import type { PackageInfo } from "./decide.ts";
import { packageSweep } from "./sweep.ts";

const HOUR = 3_600_000;
const running: Controller[] = [];
beforeEach(() => vi.useFakeTimers({ now: Date.parse("2026-01-01T00:00:00Z") }));
afterEach(async () => {
  await Promise.all(running.splice(0).map((controller) => controller.stop()));
  vi.useRealTimers();
});

const object = (kind: string, name: string, status: object) => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind,
  metadata: { name, namespace: "n" },
  spec: {},
  status,
});
const fn = (name: string, packageSha256: string) => object("Function", name, { effective: { packageSha256 } }) as unknown as LambdaFunction;

const version = (name: string, sha256: string) =>
  ({ ...object("Version", name, {}), spec: { functionName: "f", code: { package: { sha256, size: 1 } } } }) as unknown as Version;

function sweepOf(special: { functions?: LambdaFunction[]; versions?: Version[]; layers?: LayerVersion[]; recent?: Set<string> } = {}) {
  const stored = new Map<string, number>([["a", 0]]);
  const fake = fakeContext();
  const functions = new FakeCache<LambdaFunction>(...(special.functions ?? []));
  const lost: string[] = [];
  const requeued: string[] = [];
  const store = { failing: false };
  const sweep = packageSweep({
    ...fake.context,
    packages: {
      async list(): Promise<PackageInfo[]> {
        if (store.failing) throw new Error("NATS is away");
        return [...stored].map(([sha256, storedAt]) => ({ sha256, storedAt }));
      },
      async delete(sha256) {
        stored.delete(sha256);
      },
    },
    functions,
    versions: new FakeCache<Version>(...(special.versions ?? [])),
    layerVersions: new FakeCache<LayerVersion>(...(special.layers ?? [])),
    intake: { isRecent: (sha256) => special.recent?.has(sha256) ?? false, lost: (packages) => lost.push(...packages) },
    requeue: (found) => requeued.push(found.metadata.name),
  });
  running.push(sweep);
  sweep.start();
  return { stored, functions, lost, requeued, store };
}

describe("the package sweep", () => {
  test("removes a package an hour after it was found unreferenced, and not before", async () => {
    const { stored } = sweepOf();
    await vi.advanceTimersByTimeAsync(HOUR);
    expect(stored.has("a")).toBe(true);
    await vi.advanceTimersByTimeAsync(HOUR / 2);
    expect(stored.has("a")).toBe(false);
  });

  test.each([
    ["a Function", { functions: [fn("f", "a")] }],
    ["a Version", { versions: [version("v", "a")] }],
    ["a LayerVersion", { layers: [object("LayerVersion", "l", { packageSha256: "a" }) as unknown as LayerVersion] }],
  ])("keeps what %s refers to", async (_, special) => {
    const { stored } = sweepOf(special);
    await vi.advanceTimersByTimeAsync(10 * HOUR);
    expect(stored.has("a")).toBe(true);
  });

  test("counts anew when a function takes the package up again", async () => {
    const { stored, functions } = sweepOf();
    await vi.advanceTimersByTimeAsync(0.8 * HOUR);
    functions.put(fn("f", "a"));
    await vi.advanceTimersByTimeAsync(0.8 * HOUR);
    functions.remove("n", "f");
    await vi.advanceTimersByTimeAsync(0.8 * HOUR);
    expect(stored.has("a")).toBe(true);
    await vi.advanceTimersByTimeAsync(HOUR);
    expect(stored.has("a")).toBe(false);
  });

  test("keeps a package whose function is just being written", async () => {
    const { stored } = sweepOf({ recent: new Set(["a"]) });
    await vi.advanceTimersByTimeAsync(10 * HOUR);
    expect(stored.has("a")).toBe(true);
  });

  test("has the code of functions read again whose package is gone", async () => {
    const { lost, requeued } = sweepOf({ functions: [fn("whole", "a"), fn("broken", "b")] });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(lost).toEqual(["b"]);
    expect(requeued).toEqual(["broken"]);
  });

  test("goes on after the store was away", async () => {
    const { stored, store } = sweepOf();
    store.failing = true;
    await vi.advanceTimersByTimeAsync(HOUR);
    store.failing = false;
    await vi.advanceTimersByTimeAsync(2 * HOUR);
    expect(stored.has("a")).toBe(false);
  });
});
