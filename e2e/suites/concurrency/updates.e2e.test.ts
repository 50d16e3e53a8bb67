/** Code and aliases change under load: no error, no mixture, nothing old a second after the change was acknowledged. */
import { strToU8, zipSync } from "fflate";
import { afterAll, beforeAll, expect, test } from "vitest";
import { apply, applyAndWait, deleteFunctions, eventually, FULL, kubectl, kubectlJson } from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";
import { type Request, steadyLoad } from "./load.ts";

const name = "e2e-updated";
const PER_SECOND = 200;
const UPDATES = FULL ? 8 : 4;
/** From the acknowledgement until nothing old may be answered any more. */
const LATE_MS = 1_000;
const client = lambdaClient(1);

const TIMEOUT_S = 30;

/** A package of two files and a variable that all say the same. It tells as well when it was given the event, and when it runs. */
function functionOf(edition: number): object {
  const files = {
    "index.py": `import os, time, other
MINE = ${edition}
def handler(event, context):
    now = time.time() * 1000
    return [MINE, other.THEIRS, int(os.environ["EDITION"]), now + context.get_remaining_time_in_millis() - ${TIMEOUT_S * 1000}, now]
`,
    "other.py": `THEIRS = ${edition}\n`,
  };
  const zip = zipSync(Object.fromEntries(Object.entries(files).map(([path, text]) => [path, strToU8(text)])));
  return {
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name, namespace: "default" },
    spec: {
      runtime: "python3.11",
      handler: "index.handler",
      memorySize: 256,
      timeout: TIMEOUT_S,
      environment: { variables: { EDITION: String(edition) } },
      code: { zip: Buffer.from(zip).toString("base64") },
    },
  };
}

const version = (number: number): object => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Version",
  metadata: { name: `${name}-${number}`, namespace: "default" },
  spec: { functionName: name },
});

const alias = (functionVersion: string): object => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Alias",
  metadata: { name: `${name}-live`, namespace: "default" },
  spec: { functionName: name, name: "live", functionVersion },
});

interface Conditioned {
  metadata: { generation: number };
  status?: { conditions?: { type: string; status: string; observedGeneration?: number }[]; lastUpdateStatus?: string };
}

/** When the controller said that the latest change is in force, epoch milliseconds; at most a moment late. */
const acknowledged = (kind: string, object: string): Promise<number> =>
  eventually(`the change of ${kind} ${object} is in force`, async () => {
    const { metadata, status } = await kubectlJson<Conditioned>("get", kind, "-n", "default", object);
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    return ready?.status === "True" && ready.observedGeneration === metadata.generation ? Date.now() : undefined;
  });

/**
 * Every answer is of one edition, none failed, and none whose event was given to an environment LATE_MS after an acknowledgement is of an
 * older one: who has an event ends it, however long a busy machine lets it wait.
 */
function check(requests: readonly Request[], acknowledgements: readonly { edition: number; at: number }[]): void {
  const errors = requests.flatMap(({ error }) => (error === undefined ? [] : [String(error)]));
  expect([...Map.groupBy(errors, (text) => text)].map(([text, { length }]) => `${length} of ${requests.length}: ${text}`)).toEqual([]);
  const bad: string[] = [];
  for (const { answer, sentAt, answeredAt } of requests) {
    // By the environment's clock, which is the same machine's.
    const [mine, theirs, variable, begunAt, executedAt] = answer?.payload ?? [];
    if (typeof mine !== "number" || typeof begunAt !== "number") bad.push(`no edition: ${JSON.stringify(answer)}`);
    else if (answer?.functionError !== undefined) bad.push(JSON.stringify(answer.payload));
    else if (mine !== theirs || mine !== variable) bad.push(`mixed: ${JSON.stringify(answer?.payload)}`);
    const least = Math.max(0, ...acknowledgements.filter(({ at }) => at + LATE_MS <= Number(begunAt)).map(({ edition }) => edition));
    if (mine < least) {
      const since = acknowledgements.find(({ edition }) => edition === least)?.at ?? 0;
      const times = { sent: sentAt, begun: Number(begunAt), executed: Number(executedAt), answered: answeredAt };
      const after = Object.entries(times).map(([what, at]) => `${what} ${Math.round(at - since)} ms after that`);
      bad.push(`edition ${mine} was answered though ${least} had been in force for over a second: ${after.join(", ")}`);
    }
  }
  expect(bad).toEqual([]);
}

beforeAll(() => applyAndWait(functionOf(0)));
afterAll(async () => {
  await kubectl("delete", "alias", "-n", "default", "--ignore-not-found", `${name}-live`);
  await deleteFunctions(name);
});

test(`code is updated ${UPDATES} times under ${PER_SECOND} requests a second`, async () => {
  await invoke(lambdaClient(), name, {});
  const load = steadyLoad(client, name, PER_SECOND);
  const acknowledgements: { edition: number; at: number }[] = [];
  for (let edition = 1; edition <= UPDATES; edition++) {
    await new Promise((r) => setTimeout(r, 2_000));
    await apply(functionOf(edition));
    acknowledgements.push({ edition, at: await acknowledged("function", name) });
  }
  await new Promise((r) => setTimeout(r, 2_000));
  const requests = await load.stop();
  expect(requests.length).toBeGreaterThan(PER_SECOND);
  check(requests, acknowledgements);
  expect(requests.at(-1)?.answer?.payload[0]).toBe(UPDATES);
});

test(`an alias moves ${UPDATES} times under ${PER_SECOND} requests a second`, async () => {
  // A function of this name may have had versions before: numbers go on.
  const numbers: string[] = [];
  for (let edition = 1; edition <= UPDATES; edition++) {
    await applyAndWait(functionOf(100 + edition));
    await apply(version(edition));
    await kubectl("wait", "--for=condition=Ready", "--timeout=60s", "-n", "default", `version/${name}-${edition}`);
    const { spec } = await kubectlJson<{ spec: { version: number } }>("get", "version", "-n", "default", `${name}-${edition}`);
    numbers.push(String(spec.version));
  }
  await apply(alias(numbers[0] ?? ""));
  await kubectl("wait", "--for=condition=Ready", "--timeout=60s", "-n", "default", `alias/${name}-live`);
  await invoke(lambdaClient(), name, {}, { Qualifier: "live" });
  const load = steadyLoad(client, `${name}:live`, PER_SECOND);
  const acknowledgements = [{ edition: 101, at: Date.now() }];
  for (let edition = 2; edition <= UPDATES; edition++) {
    await new Promise((r) => setTimeout(r, 2_000));
    await apply(alias(numbers[edition - 1] ?? ""));
    acknowledgements.push({ edition: 100 + edition, at: await acknowledged("alias", `${name}-live`) });
  }
  await new Promise((r) => setTimeout(r, 2_000));
  const requests = await load.stop();
  check(requests, acknowledgements);
  const [last] = requests.slice(-1);
  expect(last?.answer?.payload.slice(0, 1)).toEqual([100 + UPDATES]);
  expect(last?.answer?.executedVersion).toBe(numbers.at(-1));
});
