import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Function as FunctionObject } from "../../api/types.generated.ts";
import { systemClock } from "../../kube/clock.ts";
import { FunctionRegistry } from "../function-registry.ts";
import { PoolUses } from "./pool-uses.ts";

const NOW = Date.parse("2026-01-02T00:00:00Z");
beforeEach(() => void vi.useFakeTimers({ now: NOW }));
afterEach(() => void vi.useRealTimers());

const PYTHON = "pool/team/python3.11/public/x86_64/0";

function setup() {
  const registry = new FunctionRegistry();
  const uses = new PoolUses(registry, systemClock, { memoryMb: 1769, ephemeralStorageMb: 512 });
  const put = (name: string, over: object = {}, created = "2026-01-01T00:00:00Z") =>
    registry.put({
      apiVersion: "kappa.dev/v1alpha1",
      kind: "Function",
      metadata: { name, namespace: "team", uid: `uid-${name}`, creationTimestamp: created },
      spec: {},
      status: {
        state: "Active",
        effective: { revisionId: "1", runtime: "python3.11", memorySize: 128, ephemeralStorageMb: 512, architectures: ["x86_64"], ...over },
      },
    } as unknown as FunctionObject);
  const use = () => uses.byNamespace().get("team")?.get(PYTHON)?.use;
  return { registry, uses, put, use };
}

test("the pools of an account are those that its functions fit", () => {
  const t = setup();
  t.put("a");
  t.put("b", { memorySize: 512 });
  t.put("c", { runtime: "java17", memorySize: 512 });
  t.put("d", { memorySize: 4096 });
  expect([...(t.uses.byNamespace().get("team")?.keys() ?? [])]).toEqual([PYTHON, "pool/team/java17/public/x86_64/512"]);
});

test("a pool goes with its last function", () => {
  const t = setup();
  t.put("a");
  expect(t.use()).toBeDefined();
  t.registry.remove({ metadata: { name: "a", namespace: "team", uid: "uid-a" } } as FunctionObject);
  expect(t.use()).toBeUndefined();
});

test("of functions that a gateway finds it counts when they were made, and from then on when they change", () => {
  const t = setup();
  t.put("a");
  expect(t.use()?.changedAt).toBe(Date.parse("2026-01-01T00:00:00Z"));
  vi.setSystemTime(NOW + 5_000);
  t.put("a");
  expect(t.use()?.changedAt).toBe(Date.parse("2026-01-01T00:00:00Z"));
  t.put("a", { revisionId: "2", handler: "other" });
  expect(t.use()?.changedAt).toBe(NOW + 5_000);
});

test("demand is remembered for ten minutes, however much there was", () => {
  const t = setup();
  t.put("a");
  for (let i = 0; i < 2_000; i++) t.uses.wanted(PYTHON);
  expect(t.use()).toMatchObject({ usedAt: NOW, wantedAt: { length: 1_000 } });
  vi.setSystemTime(NOW + 600_000);
  t.uses.wanted(PYTHON);
  expect(t.use()?.wantedAt).toEqual([NOW + 600_000]);
});
