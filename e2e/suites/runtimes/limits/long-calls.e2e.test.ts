/** Calls as long as Lambda allows, through a gateway that has to forward them, and callers that go away in the middle. */
import { readFileSync } from "node:fs";
import { InvokeCommand } from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, environmentPods, eventually, FULL, kubectl, pythonFunction } from "../../support/cluster.ts";
import { type Gateway, ownerAndOther, withGateways } from "../../support/gateways.ts";
import { invoke } from "../../support/lambda.ts";

const long = "e2e-limits-long";
const left = "e2e-limits-left";
const TIMEOUT_SECONDS = FULL ? 900 : 22;
const LONG_SECONDS = FULL ? 890 : 20;
const TOO_LONG_SECONDS = TIMEOUT_SECONDS + 1;
const source = readFileSync(new URL("handlers/calls.py", import.meta.url), "utf8");

beforeAll(() =>
  applyAndWait(
    pythonFunction(long, source, { timeout: TIMEOUT_SECONDS }),
    pythonFunction(left, source, { timeout: 60, reservedConcurrentExecutions: 2 }),
  ),
);
afterAll(() => deleteFunctions(long, left));

const forwarded = (gateway: Gateway): Promise<number> => gateway.metric("kappa_gateway_forwarded_total", 'result="ok"');

test(
  `through a forwarding gateway a call of ${LONG_SECONDS} s answers, and one of ${TOO_LONG_SECONDS} s ends at ${TIMEOUT_SECONDS} s`,
  async () => {
    await withGateways(async (gateways) => {
      const { owner, other } = await ownerAndOther(gateways, long);
      const mine = `function="${long}"`;
      const before = { forwarded: await forwarded(other), owner: await owner.metric("kappa_invocations_total", mine) };
      const start = performance.now();
      const timed = async (seconds: number) => {
        const answer = await invoke(other.client, long, { seconds, token: seconds });
        return { answer, tookSeconds: (performance.now() - start) / 1000 };
      };
      const [answered, ended] = await Promise.all([timed(LONG_SECONDS), timed(TOO_LONG_SECONDS)]);

      expect(answered.answer).toMatchObject({ status: 200, functionError: undefined, payload: { token: LONG_SECONDS } });
      expect(answered.answer.payload.slept).toBeGreaterThanOrEqual(LONG_SECONDS);
      expect(ended.answer).toMatchObject({ status: 200, functionError: "Unhandled", payload: { errorType: "Sandbox.Timedout" } });
      expect(ended.answer.payload.errorMessage).toMatch(
        new RegExp(`^RequestId: [0-9a-f-]{36} Error: Task timed out after ${TIMEOUT_SECONDS}\\.00 seconds$`),
      );
      expect(ended.tookSeconds).toBeGreaterThanOrEqual(TIMEOUT_SECONDS);
      // They went through the gateway that does not own the function, and ran at the one that does.
      expect((await forwarded(other)) - before.forwarded).toBeGreaterThanOrEqual(2);
      expect((await owner.metric("kappa_invocations_total", mine)) - before.owner).toBe(2);
      expect(await other.metric("kappa_invocations_total", mine)).toBe(0);
    });
  },
  (TIMEOUT_SECONDS + 120) * 1000,
);

/** The environments whose log says that a call with this token has slept. */
async function sleptIn(token: string): Promise<string[]> {
  const pods = await environmentPods(left);
  const logs = await Promise.all(pods.map(({ metadata }) => kubectl("logs", "-n", "default", metadata.name)));
  return [...logs.join("\n").matchAll(new RegExp(`\tslept ${token} in (\\S+)$`, "gm"))].map(([, environment = ""]) => environment);
}

/** Seconds for which the function goes on after its caller went. */
const REMAINING_SECONDS = 8;

test.each(["owner", "other"] as const)(
  "a caller that leaves in the middle (at the %s gateway) frees nothing early and loses nothing: the function finishes, and holds its concurrency until then",
  async (which) => {
    await withGateways(async (gateways) => {
      const found = await ownerAndOther(gateways, left);
      const { owner } = found;
      const { client } = found[which];
      const mine = `function="${left}"`;
      const concurrent = () => owner.metric("kappa_concurrent_executions", mine);
      const finished = () => owner.metric("kappa_invocations_total", mine);
      const idle = async () => eventually("nothing runs", async () => ((await concurrent()) === 0 ? true : undefined));
      await idle();
      const before = await finished();
      const token = `${which}-${Date.now()}`;

      const caller = new AbortController();
      const leaving = client.send(
        new InvokeCommand({ FunctionName: left, Payload: JSON.stringify({ seconds: REMAINING_SECONDS, token }) }),
        { abortSignal: caller.signal },
      );
      await eventually("the call runs", async () => ((await concurrent()) === 1 ? true : undefined));
      caller.abort();
      await expect(leaving).rejects.toMatchObject({ name: "AbortError" });

      // A second call runs beside it, in another environment; there is no room for a third one.
      const second = invoke(client, left, { seconds: 3, token: "second" });
      await eventually("both run", async () => ((await concurrent()) === 2 ? true : undefined));
      await expect(invoke(client, left, {})).rejects.toMatchObject({
        name: "TooManyRequestsException",
        Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
      });
      const { payload } = await second;
      // Only the one without a caller is left, and it still counts.
      expect(await concurrent()).toBe(1);
      expect(await sleptIn(token)).toEqual([]);

      await idle();
      const environments = await eventually("the log says that the function finished", async () => {
        const found = await sleptIn(token);
        return found.length > 0 ? found : undefined;
      });
      expect(environments).toHaveLength(1);
      expect(environments).not.toContain(payload.environment);
      expect((await finished()) - before).toBe(2);
      // Both environments serve again.
      const again = await Promise.all([1, 2].map((seconds) => invoke(client, left, { seconds, token: "again" })));
      expect(new Set(again.map((answer) => answer.payload.environment)).size).toBe(2);
    });
  },
);
