/** More functions than there is room for: the environment that was used longest ago makes room, and nobody waits for a keep-alive. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Account, makeAccount, removeAccount } from "../support/account.ts";
import { applyMany, eventually, FULL, kubectl, kubectlJson, type Pod, pods, pythonFunction } from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";

const namespace = "e2e-room";
const FUNCTIONS = FULL ? 100 : 30;
const ROOM = FULL ? 30 : 10;
const ROUNDS = 2;
/** Far below the keep-alive of ten minutes, far above a start on a busy machine. */
const PATIENCE_MS = 60_000;
const names = Array.from({ length: FUNCTIONS }, (_, i) => `e2e-room-${i}`);
let account: Account;

beforeAll(async () => {
  account = await makeAccount(namespace, {
    apiVersion: "v1",
    kind: "ResourceQuota",
    metadata: { name: "room", namespace },
    spec: { hard: { pods: String(ROOM) } },
  });
  const functions = names.map((name) => {
    const fn = pythonFunction(name, `def handler(event, context):\n    return "${name}"\n`) as { metadata: object };
    return { ...fn, metadata: { ...fn.metadata, namespace } };
  });
  await applyMany(functions);
  await kubectl("wait", "--for=condition=Ready", "--timeout=200s", "-n", namespace, "function", "--all");
});
afterAll(() => removeAccount(namespace));

test(`${FUNCTIONS} functions called in turn with room for ${ROOM} environments all answer`, { timeout: 1_200_000 }, async () => {
  const client = lambdaClient(1);
  const took: number[] = [];
  let most = 0;
  for (let round = 0; round < ROUNDS; round++) {
    for (const name of names) {
      const start = performance.now();
      const answer = await invoke(client, account.arn(name), {});
      took.push(performance.now() - start);
      expect(answer).toMatchObject({ status: 200, payload: name });
    }
    const live = (await pods(namespace, "kappa.dev/component=environment")).filter(
      (pod: Pod) => pod.metadata.deletionTimestamp === undefined,
    );
    most = Math.max(most, live.length);
  }
  const sorted = took.toSorted((a, b) => a - b);
  const at = (share: number) => ((sorted[Math.floor(sorted.length * share)] ?? 0) / 1000).toFixed(2);
  console.log(`${took.length} calls: p50 ${at(0.5)} s, p90 ${at(0.9)} s, longest ${at(0.999)} s; at most ${most} environments`);
  expect(Math.max(...took)).toBeLessThan(PATIENCE_MS);
  expect(most).toBeLessThanOrEqual(ROOM);
});

test("and nothing is left waiting for room", async () => {
  await eventually("no pod waits", async () => {
    const { items } = await kubectlJson<{ items: Pod[] }>("get", "pods", "-n", namespace);
    return items.some((pod) => pod.status.phase === "Pending") ? undefined : true;
  });
});
