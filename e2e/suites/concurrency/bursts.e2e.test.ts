/** Bursts of first requests against limits: exact with several gateways, and while one of them dies. */
import type { LambdaClient } from "@aws-sdk/client-lambda";
import { afterEach, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, environmentPods, eventually, killPod, kubectl, pods, pythonFunction } from "../support/cluster.ts";
import { withGateways } from "../support/gateways.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";
import { concurrency, type Execution, environmentsOf, executionsInLogs, SLEEPER } from "./executions.ts";

const BURST = 50;
const RESERVED = 10;
const HOLD_MS = 2_000;
let used: string[] = [];
afterEach(async () => {
  await deleteFunctions(...used);
  // What a burst leaves behind is not to be in the way of the next one.
  await eventually("the environments are gone", async () => {
    const left = await Promise.all(used.map((name) => environmentPods(name)));
    return left.flat().length === 0 ? true : undefined;
  });
  used = [];
});

async function functionOf(name: string, reserved: number): Promise<string> {
  used.push(name);
  await applyAndWait(pythonFunction(name, SLEEPER, { timeout: 30, reservedConcurrentExecutions: reserved }));
  return name;
}

interface Burst {
  ran: Execution[];
  throttled: unknown[];
  failed: unknown[];
}

/** Sends all at once, in turn over the clients. */
async function burst(clients: readonly LambdaClient[], name: string, count = BURST): Promise<Burst> {
  const results = await Promise.allSettled(
    Array.from({ length: count }, (_, i) => invoke(clients[i % clients.length] ?? lambdaClient(1), name, { ms: HOLD_MS })),
  );
  const outcome: Burst = { ran: [], throttled: [], failed: [] };
  for (const result of results) {
    if (result.status === "fulfilled" && result.value.functionError === undefined) outcome.ran.push(result.value.payload);
    else if (result.status === "fulfilled") outcome.failed.push(result.value);
    else if (result.reason?.name === "TooManyRequestsException") outcome.throttled.push(result.reason);
    else outcome.failed.push(result.reason);
  }
  return outcome;
}

const REFUSAL = { Reason: "ReservedFunctionConcurrentInvocationLimitExceeded", $metadata: { httpStatusCode: 429 } };

/** How many environments a function has now: pods that were made for it or given to it, and are not on their way out. */
async function alive(name: string): Promise<number> {
  return (await environmentPods(name)).filter((pod) => pod.metadata.deletionTimestamp === undefined && pod.status.phase !== "Failed")
    .length;
}

/** Looks all the time how many environments a function has. */
function watchAlive(name: string): { stop(): Promise<number> } {
  let most = 0;
  let stopped = false;
  const looking = (async () => {
    while (!stopped) {
      most = Math.max(most, await alive(name));
      await new Promise((r) => setTimeout(r, 300));
    }
  })();
  return {
    async stop() {
      stopped = true;
      await looking;
      return Math.max(most, await alive(name));
    },
  };
}

/** What really ran, by the pods' own logs, is within the limit at every moment. */
async function expectWithin(name: string, limit: number, answered: readonly Execution[]): Promise<void> {
  // A busy node writes an answered event's last lines after its answer.
  const logged = await eventually(
    `the logs of ${name} tell of all ${answered.length} events that were answered`,
    async () => {
      const told = await executionsInLogs(name);
      const telling = environmentsOf(told);
      const silent = [...environmentsOf(answered)].filter((environment) => !telling.has(environment));
      if (silent.length > 0)
        throw new Error(`nothing of ${silent}; its pods: ${(await environmentPods(name)).map(({ metadata }) => metadata.name)}`);
      return told.length >= answered.length ? told : undefined;
    },
    20_000,
  );
  expect(concurrency(logged)).toBeLessThanOrEqual(limit);
  expect(environmentsOf(logged).size).toBeLessThanOrEqual(limit);
}

test(`${BURST} first invocations at once with ${RESERVED} reserved: ${RESERVED} run, the others get 429`, async () => {
  const name = await functionOf("e2e-burst-ten", RESERVED);
  const watched = watchAlive(name);
  const { ran, throttled, failed } = await burst([lambdaClient(1)], name);
  expect(failed).toEqual([]);
  expect(ran).toHaveLength(RESERVED);
  expect(await watched.stop()).toBeLessThanOrEqual(RESERVED);
  await expectWithin(name, RESERVED, ran);
  expect(throttled).toHaveLength(BURST - RESERVED);
  for (const refusal of throttled) expect(refusal).toMatchObject(REFUSAL);
  expect(throttled[0]).toMatchObject({ retryAfterSeconds: expect.anything() });
});

test(`${BURST} first invocations at once with 100 allowed: no error, at most ${BURST} environments`, async () => {
  const name = await functionOf("e2e-burst-many", 100);
  const watched = watchAlive(name);
  const { ran, throttled, failed } = await burst([lambdaClient(1)], name);
  expect([...throttled, ...failed]).toEqual([]);
  expect(ran).toHaveLength(BURST);
  expect(await watched.stop()).toBeLessThanOrEqual(BURST);
  await expectWithin(name, BURST, ran);
});

test.each([10, 25])("a burst of %i first invocations makes no surplus environment", async (count) => {
  const name = await functionOf(`e2e-burst-${count}`, 100);
  const { ran, throttled, failed } = await burst([lambdaClient(1)], name, count);
  expect([...throttled, ...failed]).toEqual([]);
  expect(environmentsOf(ran).size).toBeLessThanOrEqual(count);
  expect(await alive(name)).toBeLessThanOrEqual(count);
});

test(`spread over both gateways ${RESERVED} run and no more`, async () => {
  const name = await functionOf("e2e-burst-spread", RESERVED);
  await withGateways(async (gateways) => {
    expect(gateways.length).toBeGreaterThanOrEqual(2);
    const watched = watchAlive(name);
    const { ran, throttled, failed } = await burst(
      gateways.map(({ client }) => client),
      name,
    );
    expect(failed).toEqual([]);
    expect(ran).toHaveLength(RESERVED);
    for (const refusal of throttled) expect(refusal).toMatchObject(REFUSAL);
    expect(await watched.stop()).toBeLessThanOrEqual(RESERVED);
    await expectWithin(name, RESERVED, ran);
  });
});

test("and with a gateway killed in the middle no limit is exceeded, whichever it is", { timeout: 240_000 }, async () => {
  for (const victim of [0, 1]) {
    const name = await functionOf(`e2e-burst-killed-${victim}`, RESERVED);
    const ran: Execution[] = [];
    await withGateways(async (gateways) => {
      const doomed = gateways[victim]?.pod ?? "";
      const survivors = gateways.filter(({ pod }) => pod !== doomed).map(({ client }) => client);
      const all = gateways.map(({ client }) => client);
      const watched = watchAlive(name);
      const first = burst(all, name);
      await new Promise((r) => setTimeout(r, HOLD_MS / 2));
      const [pod] = (await pods("kappa-system", "app.kubernetes.io/component=gateway")).filter(({ metadata }) => metadata.name === doomed);
      if (pod) await killPod(pod);
      // While the first ones still run, and the new owner takes over.
      const second = burst(survivors, name);
      const third = new Promise<Burst>((resolve) => setTimeout(() => void burst(survivors, name).then(resolve), HOLD_MS));
      const bursts = [await first, await second, await third];
      for (const { ran: some } of bursts) ran.push(...some);
      // Callers of the gateway that was killed get an error and would retry; those of the other one are answered or refused.
      for (const { throttled, failed } of bursts.slice(1)) {
        for (const refusal of throttled) expect(refusal).toMatchObject(REFUSAL);
        expect(failed).toEqual([]);
      }
      expect(await watched.stop()).toBeLessThanOrEqual(RESERVED);
    });
    expect(ran.length).toBeGreaterThan(0);
    await expectWithin(name, RESERVED, ran);
    await kubectl("rollout", "status", "-n", "kappa-system", "deployment/kappa-gateway", "--timeout=180s");
  }
});
