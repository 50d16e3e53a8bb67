/** Versions and aliases as a user handles them, with kubectl and with AWS's client. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { apply, applyAndWait, deleteFunctions, eventually, FULL, kubectl, kubectlJson, pythonFunction, run } from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";

/** Anew for each run: numbers that a function of this name was given are never given again. */
const name = `e2e-versions-${Date.now().toString(36)}`;
const client = lambdaClient();
const CALLS = FULL ? 10_000 : 2_000;
/** Share of the second version, and how far the measured one may be from it: more than four standard deviations either way. */
const WEIGHT = 0.05;
const TOLERANCE = FULL ? 0.01 : 0.022;

const functionOf = (edition: number): object =>
  pythonFunction(name, `def handler(event, context):\n    return [${edition}, context.function_version, context.invoked_function_arn]\n`, {
    memorySize: 256,
  });
const version = (object: string): object => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Version",
  metadata: { name: object, namespace: "default" },
  spec: { functionName: name },
});
const alias = (aliasName: string, functionVersion: string, weights?: Record<string, string>): object => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Alias",
  metadata: { name: `${name}-${aliasName}`, namespace: "default" },
  spec: {
    functionName: name,
    name: aliasName,
    functionVersion,
    ...(weights === undefined ? {} : { routingConfig: { additionalVersionWeights: weights } }),
  },
});

interface VersionObject {
  metadata: { generation: number };
  spec: { version?: number };
  status?: { conditions?: { type: string; status: string; reason: string; message: string }[] };
}

/** Publishes and says the number, or why none was given. */
async function publish(object: string): Promise<{ number: number | undefined; ready: string; message: string }> {
  await apply(version(object));
  return await eventually(`${object} is settled`, async () => {
    const { spec, status } = await kubectlJson<VersionObject>("get", "version", "-n", "default", object);
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    if (!ready || ready.status === "Unknown") return undefined;
    return { number: spec.version, ready: ready.status, message: ready.message };
  });
}

const ready = (object: string) => kubectl("wait", "--for=condition=Ready", "--timeout=60s", "-n", "default", object);

beforeAll(() => applyAndWait(functionOf(1)));
afterAll(async () => {
  await kubectl("delete", "alias", "-n", "default", "--ignore-not-found", ...["live", "split", "held"].map((a) => `${name}-${a}`));
  await deleteFunctions(name);
  // It was not published, so it is nobody's.
  await kubectl("delete", "version", "-n", "default", "--ignore-not-found", `${name}-again`);
});

test("versions are numbered, frozen and invoked by their number; publishing the same again makes no second one", async () => {
  expect(await publish(`${name}-one`)).toMatchObject({ number: 1, ready: "True" });
  const again = await publish(`${name}-again`);
  expect(again.ready).toBe("False");
  expect(again.number).toBeUndefined();
  expect(again.message).toContain(`${name}-one`);
  await applyAndWait(functionOf(2));
  expect(await publish(`${name}-two`)).toMatchObject({ number: 2, ready: "True" });

  const one = await invoke(client, name, {}, { Qualifier: "1" });
  expect(one).toMatchObject({ status: 200, executedVersion: "1" });
  expect(one.payload.slice(0, 2)).toEqual([1, "1"]);
  expect(one.payload[2]).toMatch(new RegExp(`:function:${name}:1$`));
  const latest = await invoke(client, name, {});
  expect(latest).toMatchObject({ executedVersion: "$LATEST" });
  expect(latest.payload.slice(0, 2)).toEqual([2, "$LATEST"]);
  await expect(invoke(client, name, {}, { Qualifier: "3" })).rejects.toMatchObject({
    name: "ResourceNotFoundException",
    message: expect.stringMatching(new RegExp(`^Function not found: arn:aws:lambda:.*:function:${name}:3$`)),
  });
  const change = await run("kubectl", ["patch", "version", "-n", "default", `${name}-one`, "--type=merge", "-p", '{"spec":{"timeout":9}}']);
  expect(change.status).not.toBe(0);
  expect(change.stderr).toContain("cannot change");
});

test("an alias leads to its version, and what it refers to cannot be deleted", async () => {
  await apply(alias("live", "1"));
  await ready(`alias/${name}-live`);
  const answer = await invoke(client, name, {}, { Qualifier: "live" });
  expect(answer.executedVersion).toBe("1");
  expect(answer.payload.slice(0, 2)).toEqual([1, "1"]);
  expect(answer.payload[2]).toMatch(new RegExp(`:function:${name}:live$`));

  const refused = await run("kubectl", ["delete", "version", "-n", "default", `${name}-one`]);
  expect(refused.status).not.toBe(0);
  expect(refused.stderr).toContain("live");
  expect((await invoke(client, name, {}, { Qualifier: "1" })).executedVersion).toBe("1");
});

test("a number is never given again", async () => {
  await applyAndWait(functionOf(3));
  expect(await publish(`${name}-three`)).toMatchObject({ number: 3 });
  await kubectl("delete", "version", "-n", "default", `${name}-three`);
  await applyAndWait(functionOf(4));
  expect(await publish(`${name}-four`)).toMatchObject({ number: 4 });
});

test(`of ${CALLS} calls of an alias a share of ${WEIGHT} goes to its second version`, { timeout: 300_000 }, async () => {
  await apply(alias("split", "1", { 2: String(WEIGHT) }));
  await ready(`alias/${name}-split`);
  const counts = new Map<string, number>();
  const left = { calls: CALLS };
  const caller = async () => {
    while (left.calls-- > 0) {
      const { executedVersion = "", payload } = await invoke(client, name, {}, { Qualifier: "split" });
      expect(payload[1]).toBe(executedVersion);
      counts.set(executedVersion, (counts.get(executedVersion) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 8 }, caller));
  const share = (counts.get("2") ?? 0) / CALLS;
  console.log(`version 2 got ${(share * 100).toFixed(2)} % of ${CALLS} calls`);
  expect((counts.get("1") ?? 0) + (counts.get("2") ?? 0)).toBe(CALLS);
  expect(Math.abs(share - WEIGHT)).toBeLessThanOrEqual(TOLERANCE);
});

test("an alias of a version that does not exist says so and answers nobody", async () => {
  await apply(alias("held", "99"));
  const { status } = await eventually("the alias is judged", async () => {
    const object = await kubectlJson<VersionObject>("get", "alias", "-n", "default", `${name}-held`);
    return object.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "False") ? object : undefined;
  });
  expect(status?.conditions?.find(({ type }) => type === "Ready")?.message).toContain("99");
  await expect(invoke(client, name, {}, { Qualifier: "held" })).rejects.toMatchObject({ name: "ResourceNotFoundException" });
});
