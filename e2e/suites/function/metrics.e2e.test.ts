/** What `/metrics` counts is what happened. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, eventually, pods, pythonFunction } from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";
import { withPortForward } from "../support/port-forward.ts";

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

/** Every sample of one metric, over all pods of a component, summed where the labels match. */
async function total(component: string, metric: string, labels = ""): Promise<number> {
  let sum = 0;
  for (const pod of await pods("kappa-system", `app.kubernetes.io/name=kappa,app.kubernetes.io/component=${component}`)) {
    if (pod.metadata.deletionTimestamp || pod.status.phase !== "Running") continue;
    const text = await withPortForward("kappa-system", `pod/${pod.metadata.name}`, 9090, (port) =>
      eventually("metrics are served", async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()),
    );
    for (const line of text.split("\n")) {
      if (line.startsWith(`${metric}{`) || line.startsWith(`${metric} `)) if (line.includes(labels)) sum += Number(line.split(" ").at(-1));
    }
  }
  return sum;
}

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
