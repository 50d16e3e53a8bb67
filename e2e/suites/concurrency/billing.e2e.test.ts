/** What is billed is the same in the REPORT lines, in the metrics and in the report. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  apply,
  applyAndWait,
  clusterEnv,
  deleteFunctions,
  environmentPods,
  eventually,
  FULL,
  kubectl,
  must,
  pythonFunction,
} from "../support/cluster.ts";
import { withGateways } from "../support/gateways.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";

/** The report is of a day: a name of its own keeps what earlier runs counted out of it. */
const name = `e2e-billed-${Date.now().toString(36)}`;
const CALLS = FULL ? 1_000 : 300;
const MEMORY = 512;
const SOURCE = `
import time

def handler(event, context):
    time.sleep(event.get("ms", 0) / 1000)
    if event.get("fail"):
        raise ValueError("on purpose")
    return event
`;
const reader = "e2e-billing-reader";

beforeAll(async () => {
  await applyAndWait(pythonFunction(name, SOURCE, { memorySize: MEMORY, timeout: 1, reservedConcurrentExecutions: 6 }));
  await apply(
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: reader, namespace: "default" } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: reader, namespace: "default" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
      subjects: [{ kind: "ServiceAccount", name: reader, namespace: "default" }],
    },
  );
});
afterAll(async () => {
  await kubectl("delete", "-n", "default", "--ignore-not-found", `serviceaccount/${reader}`, `rolebinding/${reader}`);
  await deleteFunctions(name);
});

interface Line {
  functionName: string;
  invocations: number;
  errors: number;
  throttles: number;
  billedDurationMs: number;
  gbSeconds: number;
}

const today = (): string => new Date().toISOString().slice(0, 10);

const added = (a: Line, b: Line): Line => ({
  functionName: a.functionName,
  invocations: a.invocations + b.invocations,
  errors: a.errors + b.errors,
  throttles: a.throttles + b.throttles,
  billedDurationMs: a.billedDurationMs + b.billedDurationMs,
  gbSeconds: a.gbSeconds + b.gbSeconds,
});

async function reportOf(day: string, format: "json" | "table"): Promise<string> {
  const token = (await must("kubectl", ["create", "token", "-n", "default", reader])).trim();
  const response = await fetch(`${clusterEnv().AWS_ENDPOINT_URL_LAMBDA}/kappa/v1/billing/${day}?format=${format}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(response.status, await response.clone().text()).toBe(200);
  return await response.text();
}

test(`${CALLS} mixed invocations`, { timeout: 300_000 }, async () => {
  const client = lambdaClient(1);
  const days = new Set([today()]);
  const expected = { invocations: 0, errors: 0, throttles: 0 };
  const one = async (event: object) => {
    try {
      const { functionError } = await invoke(client, name, event);
      expected.invocations++;
      if (functionError !== undefined) expected.errors++;
    } catch (error) {
      if ((error as Error).name !== "TooManyRequestsException") throw error;
      expected.throttles++;
    }
  };
  const left = { calls: CALLS };
  const caller = async () => {
    for (let i = left.calls--; i > 0; i = left.calls--) {
      // Successes of several lengths, errors, some that run into the limit, and dry runs that are nothing at all.
      if (i % 100 === 0) await one({ ms: 1_500 });
      else if (i % 10 === 0) await one({ fail: true });
      else if (i % 17 === 0) await invoke(client, name, undefined, { InvocationType: "DryRun", Payload: new Uint8Array() });
      else await one({ ms: i % 7 });
    }
  };
  // Two more than may run at once: some are throttled.
  await Promise.all(Array.from({ length: 8 }, caller));
  expect(expected.throttles).toBeGreaterThan(0);
  expect(expected.errors).toBeGreaterThan(0);

  const lines = async () => {
    const found: { billedMs: number; limit: boolean }[] = [];
    for (const { metadata } of await environmentPods(name)) {
      const log = await kubectl("logs", "-n", "default", metadata.name, "--tail=-1");
      for (const [line, billed] of log.matchAll(/^REPORT RequestId: .*\tBilled Duration: (\d+) ms.*$/gm))
        found.push({ billedMs: Number(billed), limit: line.includes("Status: timeout") });
    }
    return found;
  };
  const reported = await eventually("every event has its REPORT line", async () => {
    const found = await lines();
    return found.length === expected.invocations ? found : undefined;
  });
  const sum = reported.reduce((total, { billedMs }) => total + billedMs, 0);
  expect(reported.some(({ limit, billedMs }) => limit && billedMs >= 1_000)).toBe(true);

  await withGateways(async (gateways) => {
    const total = async (metric: string) => {
      const each = await Promise.all(gateways.map((gateway) => gateway.metric(metric, `function="${name}"`)));
      return each.reduce((a, b) => a + b, 0);
    };
    expect(await total("kappa_invocations_total")).toBe(expected.invocations);
    expect(await total("kappa_throttles_total")).toBe(expected.throttles);
    expect(Math.round((await total("kappa_billed_seconds_total")) * 1000)).toBe(sum);
    expect(await total("kappa_billed_gb_seconds_total")).toBeCloseTo((sum / 1000) * (MEMORY / 1024), 6);
  });

  // Midnight may have passed meanwhile.
  days.add(today());
  const mine = await eventually("the report has everything", async () => {
    const reports = await Promise.all([...days].map(async (day) => JSON.parse(await reportOf(day, "json")) as { functions: Line[] }));
    const lines = reports.flatMap(({ functions }) => functions.filter(({ functionName }) => functionName === name));
    const line = lines.reduce(added, { functionName: name, invocations: 0, errors: 0, throttles: 0, billedDurationMs: 0, gbSeconds: 0 });
    return line.invocations === expected.invocations && line.throttles === expected.throttles ? line : undefined;
  });
  expect(mine).toMatchObject({ errors: expected.errors, billedDurationMs: sum });
  expect(mine.gbSeconds).toBeCloseTo((sum / 1000) * (MEMORY / 1024), 6);
  const tables = await Promise.all([...days].map((day) => reportOf(day, "table")));
  const rows = tables.flatMap((text) => text.split("\n").filter((line) => line.startsWith(name)));
  const columns = rows.map((row) => row.split(/\s+/).slice(1, 5).map(Number));
  const sums = [0, 1, 2, 3].map((column) => columns.reduce((total, numbers) => total + (numbers[column] ?? 0), 0));
  expect(sums).toEqual([expected.invocations, expected.errors, expected.throttles, sum]);
});

test("who may not read it is told what is missing", async () => {
  const token = (await must("kubectl", ["create", "token", "-n", "default", "default"])).trim();
  const response = await fetch(`${clusterEnv().AWS_ENDPOINT_URL_LAMBDA}/kappa/v1/billing/2026-01-01`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(response.status).toBe(403);
  expect(await response.text()).toContain("functions/billing");
});
