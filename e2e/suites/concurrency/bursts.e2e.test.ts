/** Bursts of first requests against limits: exact with several gateways, and while one of them dies. */
import { setTimeout as sleep } from "node:timers/promises";
import type { LambdaClient } from "@aws-sdk/client-lambda";
import { afterEach, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, environmentPods, eventually, killPod, kubectl, pods, pythonFunction } from "../support/cluster.ts";
import { withGateways } from "../support/gateways.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";
import { concurrency, type Execution, environmentsOf, SLEEPER } from "./executions.ts";
import { alive, type Watched, watching } from "./watching.ts";

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

/**
 * What really ran, by the pods' own logs, is within the limit at every moment; and there were never more environments.
 * @returns how many environments it ran in: after several bursts more than at once, where one was replaced
 */
async function expectWithin(watched: Watched, limit: number, answered: readonly Execution[]): Promise<number> {
  expect(await watched.most()).toBeLessThanOrEqual(limit);
  // A busy node writes an answered event's last lines after its answer.
  const logged = await eventually(
    `the logs tell of all ${answered.length} events that were answered`,
    async () => {
      const told = watched.executions();
      const untold = answered.filter(
        ({ environment, start }) => !told.some((one) => one.environment === environment && one.start === start),
      );
      if (untold.length > 0) throw new Error(`nothing of ${JSON.stringify(untold)}; told is of ${JSON.stringify(told)}`);
      return told;
    },
    20_000,
  );
  expect(concurrency(logged)).toBeLessThanOrEqual(limit);
  return environmentsOf(logged).size;
}

test(`${BURST} first invocations at once with ${RESERVED} reserved: ${RESERVED} run, the others get 429`, async () => {
  const name = await functionOf("e2e-burst-ten", RESERVED);
  await watching(name, async (watched) => {
    const { ran, throttled, failed } = await burst([lambdaClient(1)], name);
    expect(failed).toEqual([]);
    expect(ran).toHaveLength(RESERVED);
    expect(await expectWithin(watched, RESERVED, ran)).toBeLessThanOrEqual(RESERVED);
    expect(throttled).toHaveLength(BURST - RESERVED);
    for (const refusal of throttled) expect(refusal).toMatchObject(REFUSAL);
    expect(throttled[0]).toMatchObject({ retryAfterSeconds: expect.anything() });
  });
});

test(`${BURST} first invocations at once with 100 allowed: no error, at most ${BURST} environments`, async () => {
  const name = await functionOf("e2e-burst-many", 100);
  await watching(name, async (watched) => {
    const { ran, throttled, failed } = await burst([lambdaClient(1)], name);
    expect([...throttled, ...failed]).toEqual([]);
    expect(ran).toHaveLength(BURST);
    expect(await expectWithin(watched, BURST, ran)).toBeLessThanOrEqual(BURST);
  });
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
    const clients = gateways.map(({ client }) => client);
    await watching(name, async (watched) => {
      const { ran, throttled, failed } = await burst(clients, name);
      expect(failed).toEqual([]);
      expect(ran).toHaveLength(RESERVED);
      for (const refusal of throttled) expect(refusal).toMatchObject(REFUSAL);
      expect(await expectWithin(watched, RESERVED, ran)).toBeLessThanOrEqual(RESERVED);
    });
  });
});

test.each([0, 1])("and with gateway %i killed in the middle no limit is exceeded", { timeout: 300_000 }, async (victim) => {
  const name = await functionOf(`e2e-burst-killed-${victim}`, RESERVED);
  await withGateways(async (gateways) => {
    expect(gateways.length).toBeGreaterThanOrEqual(2);
    const doomed = gateways[victim]?.pod;
    const survivors = gateways.filter(({ pod }) => pod !== doomed).map(({ client }) => client);
    const all = gateways.map(({ client }) => client);
    await watching(name, async (watched) => {
      const first = burst(all, name);
      await sleep(HOLD_MS / 2);
      const [pod] = (await pods("kappa-system", "app.kubernetes.io/component=gateway")).filter(({ metadata }) => metadata.name === doomed);
      if (!pod) throw new Error(`there is no gateway ${doomed} any more`);
      await killPod(pod);
      // While the first ones still run, and the new owner takes over.
      const second = burst(survivors, name);
      const third = sleep(HOLD_MS).then(() => burst(survivors, name));
      const bursts = [await first, await second, await third];
      // Callers of the gateway that was killed get an error and would retry; those of the other one are answered or refused.
      for (const { throttled, failed } of bursts.slice(1)) {
        for (const refusal of throttled) expect(refusal).toMatchObject(REFUSAL);
        expect(failed).toEqual([]);
      }
      const ran = bursts.flatMap((one) => one.ran);
      expect(ran.length).toBeGreaterThan(0);
      await expectWithin(watched, RESERVED, ran);
    });
  });
  await kubectl("rollout", "status", "-n", "kappa-system", "deployment/kappa-gateway", "--timeout=180s");
});
