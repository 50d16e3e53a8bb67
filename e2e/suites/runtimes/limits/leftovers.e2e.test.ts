/** What an event leaves in its environment: files stay and are nobody else's, processes stand still between events and end with it. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { execOnNode } from "../../../cluster/index.ts";
import { applyAndWait, deleteFunctions, environmentPods, eventually, kubectl, pythonFunction } from "../../support/cluster.ts";
import { invoke, lambdaClient } from "../../support/lambda.ts";

const files = "e2e-limits-files";
const counting = "e2e-limits-counting";
const client = lambdaClient(1);
const source = readFileSync(new URL("handlers/leftovers.py", import.meta.url), "utf8");

beforeAll(() =>
  applyAndWait(pythonFunction(files, source, { timeout: 30 }), pythonFunction(counting, source, { timeout: 30, memorySize: 512 })),
);
afterAll(() => deleteFunctions(files, counting));

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Look {
  environment: string;
  texts: Record<string, string>;
}

const on = async (kind: string, event: object = {}): Promise<Look> => (await invoke(client, files, { kind, ...event })).payload;

test("a file in /tmp is there in the next event of its environment, and no other environment ever sees it", async () => {
  const mine = await on("put", { name: "note-1", text: "mine" });
  expect(mine.texts).toEqual({ "note-1": "mine" });
  expect(await on("look")).toEqual(mine);

  // At the same time, so in two environments; the second one writes a file of its own.
  const [one, two] = await Promise.all([on("look", { seconds: 3 }), on("put", { name: "note-2", text: "other", seconds: 3 })]);
  const [old, fresh] = one.environment === mine.environment ? [one, two] : [two, one];
  expect(fresh.environment).not.toBe(mine.environment);
  expect(old.texts).toMatchObject({ "note-1": "mine" });
  expect(fresh.texts).not.toHaveProperty("note-1");

  // A runtime that ends does not end its environment: its successor finds the files, as on Lambda.
  const ended = await invoke(client, files, { kind: "leave_environment" });
  expect(ended.payload.errorType).toBe("Runtime.ExitError");
  const both = await Promise.all([on("look", { seconds: 3 }), on("look", { seconds: 3 })]);
  expect(both.find(({ environment }) => environment === mine.environment)?.texts).toMatchObject({ "note-1": "mine" });

  // A pod that is gone takes its files along: what comes in its place starts empty.
  const pods = await environmentPods(files);
  await kubectl("delete", "pod", "-n", "default", "--wait=true", ...pods.map(({ metadata }) => metadata.name));
  expect((await on("look")).texts).toEqual({});
});

/** Steps of a counter in a second at full speed, one each 10 ms. */
const STEPS_PER_SECOND = 100;
const IDLE_SECONDS = 2;

test("a thread and a process that are left stand still between events, go on in the next, and are gone with their environment", async () => {
  const marker = `left-by-${counting}-${Date.now()}`;
  const observe = async (kind: string, seconds: number) => {
    const { payload, functionError } = await invoke(client, counting, { kind, marker, seconds });
    expect(functionError, JSON.stringify(payload)).toBeUndefined();
    return payload as Record<"first" | "last", Record<"thread" | "process", number>>;
  };
  const before = await observe("leave", 1);
  await pause(IDLE_SECONDS * 1000);
  const after = await observe("observe", 1);
  for (const who of ["thread", "process"] as const) {
    expect(before.last[who], `${who}: counts while the event runs`).toBeGreaterThan(STEPS_PER_SECOND / 10);
    // A few steps after the answer and before the freeze, a few before the event looks.
    expect(after.first[who] - before.last[who], `${who}: stands still for ${IDLE_SECONDS} s`).toBeLessThan(STEPS_PER_SECOND / 5);
    expect(after.last[who] - after.first[who], `${who}: goes on`).toBeGreaterThan(STEPS_PER_SECOND / 10);
  }

  const [pod] = await environmentPods(counting);
  const node = pod?.spec.nodeName ?? "";
  const container = pod?.status.containerStatuses?.[0]?.containerID?.replace("containerd://", "") ?? "";
  // The brackets keep the search from finding itself.
  const processes = async () => (await execOnNode(node, ["pgrep", "-f", `[${marker[0]}]${marker.slice(1)}`])).stdout.trim();
  const tasks = async () => (await execOnNode(node, ["ctr", "-n", "k8s.io", "tasks", "list", "-q"])).stdout;
  expect(await processes()).toMatch(/^\d+$/);
  expect(await tasks()).toContain(container);
  await deleteFunctions(counting);
  await eventually("nothing is left of the environment on its node", async () =>
    (await processes()) === "" && !(await tasks()).includes(container) ? true : undefined,
  );
});
