/**
 * Many functions and versions, counted in requests and not in seconds, which depend on the machine; those are printed. More of them:
 * KAPPA_SCALE_FUNCTIONS=1000 vitest run --project integration operator/src/controllers/scale.integration.test.ts
 */
import { expect, test } from "vitest";
import type { Alias, Function as LambdaFunction, Version } from "../api/types.generated.ts";
import { type KubeObject, type ResourceRef, Resources } from "../kube/index.ts";
import { functionObject, ready, useRealCluster } from "./testing/real-cluster.ts";

const FUNCTIONS = Number(process.env.KAPPA_SCALE_FUNCTIONS ?? 200);
const VERSIONS = 5;
/** Requests of the test's own at a time. */
const PARALLEL = 16;
const PATIENCE_MS = 1_200_000;

const cluster = useRealCluster();

async function each<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: PARALLEL }, async () => {
      for (const item of left) await work(item);
    }),
  );
}
async function allReady<T extends KubeObject>(resource: ResourceRef, namespace: string, count: number): Promise<T[]> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const { items } = await cluster().admin.list<T>(resource, { namespace });
    if (items.length === count && items.every((item) => ready(item)?.status === "True")) return items;
    if (Date.now() > deadline) throw new Error(`${items.filter((item) => ready(item)?.status === "True").length} of ${count} ready`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}
/** Waits until nothing is written but Events, which are told one by one for minutes. */
async function still(): Promise<void> {
  const applied = () =>
    cluster()
      .writes()
      .filter(({ resource }) => resource !== "events").length;
  for (let before = -1; before !== applied(); ) {
    before = applied();
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
}
/** Counts the controllers' requests while something happens, and says how long it took and what it cost. */
async function measured<T>(what: string, happen: () => Promise<T>): Promise<{ result: T; requests: Record<string, number> }> {
  const from = cluster().requests.length;
  const cpu = process.cpuUsage();
  const start = performance.now();
  const result = await happen();
  const { user, system } = process.cpuUsage(cpu);
  const requests: Record<string, number> = {};
  for (const { verb, resource } of cluster().requests.slice(from)) {
    const key = `${verb} ${resource}`;
    requests[key] = (requests[key] ?? 0) + 1;
  }
  globalThis.gc?.();
  const heapMb = Math.round(process.memoryUsage().heapUsed / 2 ** 20);
  const cpuSeconds = ((user + system) / 1e6).toFixed(1);
  console.log(
    `${what}: ${((performance.now() - start) / 1000).toFixed(1)} s, CPU with the test ${cpuSeconds} s, heap ${heapMb} MB`,
    requests,
  );
  return { result, requests };
}

test(`${FUNCTIONS} functions and ${FUNCTIONS * VERSIONS} versions cost a bounded number of requests each, and a restart none`, async () => {
  const namespace = await cluster().account();
  const names = Array.from({ length: FUNCTIONS }, (_, index) => `fn-${index}`);
  const padding = `# ${"x".repeat(4000)}\n`;
  const { result: functions } = await measured(`${FUNCTIONS} functions active`, async () => {
    await each(names, (name) =>
      cluster().apply(Resources.function, functionObject(namespace, name, { inline: `${padding}def handler(e, c): return "${name}"` })),
    );
    return allReady<LambdaFunction>(Resources.function, namespace, FUNCTIONS);
  });

  const published = await measured(`${FUNCTIONS} versions published`, async () => {
    await each(names, (functionName) => {
      const version: Version = {
        apiVersion: "kappa.dev/v1alpha1",
        kind: "Version",
        metadata: { name: `${functionName}-1`, namespace },
        spec: { functionName },
      };
      return cluster().apply(Resources.version, version);
    });
    return allReady<Version>(Resources.version, namespace, FUNCTIONS);
  });
  expect(published.requests["get functions"]).toBe(FUNCTIONS);
  expect(published.requests["apply versions"]).toBe(2 * FUNCTIONS);
  // Shared by who waits; one read, one creation for each ConfigMap.
  expect(published.requests["apply configmaps"] ?? 0).toBeLessThanOrEqual(FUNCTIONS + 16);
  expect(published.requests["get configmaps"] ?? 0).toBeLessThanOrEqual(16);

  const first = new Map(published.result.map((version) => [version.spec.functionName, version]));
  const further = functions.flatMap(({ metadata }) =>
    Array.from({ length: VERSIONS - 1 }, (_, index): Version => {
      const version = index + 2;
      const frozen = first.get(metadata.name)?.spec ?? { functionName: metadata.name };
      return {
        apiVersion: "kappa.dev/v1alpha1",
        kind: "Version",
        metadata: { name: `${metadata.name}-${version}`, namespace },
        spec: { ...frozen, version },
      };
    }),
  );
  const restored = await measured(`${further.length} versions restored`, async () => {
    await each(further, (version) => cluster().apply(Resources.version, version));
    return allReady<Version>(Resources.version, namespace, FUNCTIONS * VERSIONS);
  });
  // Its owner and its status, for each.
  expect(restored.requests["apply versions"]).toBe(2 * further.length);
  expect(restored.requests["get functions"] ?? 0).toBe(0);

  await measured(`${FUNCTIONS} aliases resolved`, async () => {
    await each(names, (functionName) => {
      const alias: Alias = {
        apiVersion: "kappa.dev/v1alpha1",
        kind: "Alias",
        metadata: { name: functionName, namespace },
        spec: { functionName, name: "PROD", functionVersion: String(VERSIONS) },
      };
      return cluster().apply(Resources.alias, alias);
    });
    return allReady(Resources.alias, namespace, FUNCTIONS);
  });

  await still();
  const restart = await measured("restart until leading, and all looked at", async () => {
    await cluster().restart();
    const start = performance.now();
    await still();
    return Math.round(performance.now() - start);
  });
  expect(Object.keys(restart.requests).filter((request) => /^(get|apply|create|delete) (?!leases|events)/.test(request))).toEqual([]);
}, 1_800_000);
