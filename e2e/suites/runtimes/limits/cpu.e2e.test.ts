/** CPU follows memory: a spin gets memorySize / 1769 of a processor, and what the agent leaves of its own share. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, FULL, pythonFunction } from "../../support/cluster.ts";
import { invoke, lambdaClient } from "../../support/lambda.ts";

const SIZES = [442, 885, 1769];
const nameOf = (memorySize: number): string => `e2e-limits-share-${memorySize}`;
const client = lambdaClient(1);
const source = readFileSync(new URL("handlers/share.py", import.meta.url), "utf8");

/** Of a processor, for the agent (the chart's agent.cpuMilli); the function has what the agent does not use, nearly all while it spins. */
const AGENT_SHARE = 0.25;
const TOLERANCE = 0.15;
/** Of 100 ms each; a machine that does much else gives few in which the quota is what stops the function. */
const PERIODS = FULL ? 200 : 30;
const LIMIT_SECONDS = 60;

beforeAll(() =>
  applyAndWait(...SIZES.map((memorySize) => pythonFunction(nameOf(memorySize), source, { memorySize, timeout: LIMIT_SECONDS + 10 }))),
);
afterAll(() => deleteFunctions(...SIZES.map(nameOf)));

test.each(SIZES)("a function of %i MB that spins gets its share of a processor within 15 per cent", async (memorySize) => {
  const { payload } = await invoke(client, nameOf(memorySize), { periods: PERIODS, limitSeconds: LIMIT_SECONDS });
  expect(payload.periods, "periods in which the quota was used up, with both processors free").toBeGreaterThanOrEqual(10);
  const expected = memorySize / 1769;
  expect(payload.share - AGENT_SHARE).toBeGreaterThan(expected * (1 - TOLERANCE));
  expect(payload.share - AGENT_SHARE).toBeLessThan(expected * (1 + TOLERANCE));
});
