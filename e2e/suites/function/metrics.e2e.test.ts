/** What `/metrics` counts is what happened. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, pythonFunction } from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";
import { scrape, sumOf } from "../support/metrics.ts";

const name = "e2e-metrics";
const client = lambdaClient(1);

beforeAll(() =>
  applyAndWait(
    pythonFunction(name, "def handler(event, context):\n    if event.get('fail'): raise ValueError('x')\n    return event\n", {
      reservedConcurrentExecutions: 1,
    }),
  ),
);
afterAll(() => deleteFunctions(name));

/** The samples of one metric, over all pods of a component, summed where the labels match. */
const total = async (component: string, metric: string, labels = ""): Promise<number> =>
  [...(await scrape(component)).values()].reduce((sum, text) => sum + sumOf(text, metric, labels), 0);

test("invocations, errors, throttles and billed time are counted as Lambda counts them", async () => {
  const mine = `function="${name}"`;
  for (let i = 0; i < 5; i++) await invoke(client, name, { i });
  for (let i = 0; i < 2; i++) await invoke(client, name, { fail: true });
  await invoke(client, name, undefined, { InvocationType: "DryRun", Payload: new Uint8Array() });
  const both = await Promise.allSettled(Array.from({ length: 5 }, () => invoke(client, name, {})));
  const throttled = both.filter((r) => r.status === "rejected");
  for (const r of throttled)
    expect(r.reason).toMatchObject({ name: "TooManyRequestsException", Reason: "ReservedFunctionConcurrentInvocationLimitExceeded" });

  expect(throttled.length).toBeGreaterThan(0);
  expect(await total("gateway", "kappa_invocations_total", mine)).toBe(7 + 5 - throttled.length);
  expect(await total("gateway", "kappa_errors_total", mine)).toBe(2);
  expect(await total("gateway", "kappa_throttles_total", mine)).toBe(throttled.length);
  expect(await total("gateway", "kappa_billed_gb_seconds_total", mine)).toBeGreaterThan(0);
});

test("the controller counts reconciles and requests to the API server", async () => {
  expect(await total("controller", "kappa_reconciles_total")).toBeGreaterThan(0);
  expect(await total("controller", "kappa_api_requests_total")).toBeGreaterThan(0);
});
