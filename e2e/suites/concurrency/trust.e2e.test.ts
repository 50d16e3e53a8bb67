/** User code shares its pod's network, user and token with the agent. Dialling the agents' port with all of it gives it nothing. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FrameType, PROTOCOL_VERSION } from "../../../operator/src/api/environment-protocol.ts";
import {
  applyAndWait,
  deleteFunctions,
  environmentPods,
  eventually,
  kubectl,
  kubectlJson,
  type Pod,
  pods,
  pythonFunction,
} from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";

const intruder = "e2e-intruder";
const victim = "e2e-victim";
const client = lambdaClient(1);
/** As long as each attempt listens, the victim is invoked. */
const LISTEN_SECONDS = 1.5;

beforeAll(() =>
  applyAndWait(
    pythonFunction(intruder, readFileSync(new URL("handlers/intruder.py", import.meta.url), "utf8"), { timeout: 300, memorySize: 512 }),
    pythonFunction(victim, "def handler(event, context):\n    return 'mine'\n"),
  ),
);
afterAll(() => deleteFunctions(intruder, victim));

interface Came {
  frame?: number;
  functionName?: string;
  invokedFunctionArn?: string;
  ticket?: string;
  close?: number;
  ended?: string;
  status?: number;
}

test("an intruder gets no assignment, no ticket, no event and no package of anybody else", { timeout: 400_000 }, async () => {
  await invoke(client, victim, {});
  const victimPod = await eventually("the victim's pod is known", async (): Promise<Pod | undefined> => (await environmentPods(victim))[0]);
  const { status } = await kubectlJson<{ status: { effective: { packageSha256: string } } }>("get", "function", "-n", "default", victim);
  const gateways = (await pods("kappa-system", "app.kubernetes.io/name=kappa,app.kubernetes.io/component=gateway")).filter(
    (pod) => pod.status.phase === "Running",
  );
  const port = await kubectl(
    "get",
    "service",
    "-n",
    "kappa-system",
    "kappa-gateway-agents",
    "-o",
    'jsonpath={.spec.ports[?(@.name=="agents")].port}',
  );
  let attacking = true;
  const attack = invoke(client, intruder, {
    protocol: PROTOCOL_VERSION,
    seconds: LISTEN_SECONDS,
    victim: victimPod.metadata.annotations?.["kappa.dev/assignment"],
    victimPod: victimPod.metadata.name,
    package: status.effective.packageSha256,
    addresses: gateways.map((pod) => `${pod.status.podIP}:${port}`),
  }).finally(() => {
    attacking = false;
  });
  // The victim is busy all the while: an event that went astray would be missed.
  while (attacking) expect(await invoke(client, victim, {})).toMatchObject({ status: 200, payload: "mine" });
  const answer = await attack;
  expect(answer.functionError, JSON.stringify(answer.payload)).toBeUndefined();
  const { addresses, results, stolen, agents } = answer.payload as {
    addresses: string[];
    stolen: number;
    results: Record<string, Came[]>;
    agents: { opened: string[]; debugger: boolean }[];
  };
  // It may hold what was meant for another function that wanted the same pod a moment later.
  expect(agents).toEqual([{ opened: [], debugger: false }]);
  expect(addresses.length).toBeGreaterThanOrEqual(gateways.length);
  console.log(
    `${Object.keys(results).length} attempts at ${addresses.length} addresses, ${stolen} secrets read from other processes' memory`,
  );
  const obtained = Object.entries(results).filter(([, came]) =>
    came.some(
      ({ frame, ticket, status: http }) =>
        frame === FrameType.assign || frame === FrameType.invoke || frame === FrameType.roleToken || ticket !== undefined || http === 200,
    ),
  );
  expect(obtained).toEqual([]);
  // Each was told to go away, or found its place taken.
  for (const [what, came] of Object.entries(results)) {
    if (!what.startsWith("a package")) expect(came.at(-1), what).toHaveProperty("close");
  }
  expect(
    await invoke(client, intruder, { ...{ protocol: PROTOCOL_VERSION, seconds: 1, victim: "x", victimPod: "x", package: "0".repeat(64) } }),
  ).toMatchObject({
    status: 200,
  });
});
