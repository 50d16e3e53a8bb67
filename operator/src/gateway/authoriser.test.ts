import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { systemClock } from "../kube/clock.ts";
import { createGatewayMetrics } from "../telemetry/gateway-metrics.ts";
import { Authoriser, READ_BILLING } from "./authoriser.ts";
import { serviceAccountCaller } from "./caller.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

interface Asked {
  spec: { user: string; resourceAttributes: { namespace: string; name?: string; subresource: string } };
}

/** @param grants names that the caller may invoke; an empty one is all of them */
function setup(...grants: string[]) {
  const granted = new Set(grants);
  const asked: string[] = [];
  const authoriser = new Authoriser({
    client: {
      // biome-ignore lint/suspicious/noExplicitAny: the answer is of the type that the caller names
      post: async (_path: string, body: unknown): Promise<any> => {
        const { namespace, name = "", subresource } = (body as Asked).spec.resourceAttributes;
        asked.push(`${subresource} ${namespace}/${name}`);
        // RBAC's rule: one without names is for all, one with names is for those.
        return { status: { allowed: subresource === "invoke" && (granted.has("") || (name !== "" && granted.has(name))) } };
      },
    },
    metrics: createGatewayMetrics(),
    clock: systemClock,
  });
  const caller = serviceAccountCaller("team", "deployer");
  const target = (name: string) => ({ namespace: "team", name, arn: `arn:${name}` });
  return { granted, asked, caller, target, authoriser, invoke: async (name: string) => await authoriser.authorise(caller, target(name)) };
}

test("who may invoke all functions of a namespace waits for no review at the first call of another one", async () => {
  const t = setup("");
  await t.invoke("a");
  t.asked.length = 0;
  expect(t.authoriser.authorise(t.caller, t.target("b"))).toBeUndefined();
  expect(t.authoriser.authorise(t.caller, t.target("c"))).toBeUndefined();
  expect(t.asked).toEqual([]);
});

test("who may invoke one function may invoke no other one", async () => {
  const t = setup("a");
  await t.invoke("a");
  await expect(t.invoke("b")).rejects.toMatchObject({ code: "K108" });
  await t.invoke("a");
  expect(t.asked.filter((question) => question.endsWith("/a"))).toHaveLength(1);
});

test("a warm function of who may invoke only that one asks for nothing but its own review, ahead of need", async () => {
  const t = setup("a");
  await t.invoke("a");
  t.asked.length = 0;
  for (let second = 0; second < 100; second++) {
    await vi.advanceTimersByTimeAsync(1_000);
    expect(t.authoriser.authorise(t.caller, t.target("a"))).toBeUndefined();
  }
  expect(new Set(t.asked)).toEqual(new Set(["invoke team/a"]));
  expect(t.asked.length).toBeLessThan(5);
});

test("a right on all that was taken away ends, and what was granted by name stays", async () => {
  const t = setup("", "a");
  for (const name of ["x", "y"]) await t.invoke(name);
  t.granted.delete("");
  await vi.advanceTimersByTimeAsync(130_000);
  await expect(t.invoke("y")).rejects.toMatchObject({ code: "K108" });
  await t.invoke("a");
});

test("a grant works at once, as soon as a refusal is two seconds old", async () => {
  const t = setup();
  await expect(t.invoke("a")).rejects.toMatchObject({ code: "K108" });
  t.granted.add("");
  await vi.advanceTimersByTimeAsync(2_100);
  await t.invoke("a");
});

test("one right is not another one, and one namespace not another one", async () => {
  const t = setup("");
  await t.invoke("a");
  await expect(async () => await t.authoriser.authorise(t.caller, t.target(""), READ_BILLING)).rejects.toMatchObject({ code: "K108" });
  await t.authoriser.authorise(t.caller, { ...t.target("a"), namespace: "other" });
  expect(t.asked.some((question) => question.includes("other/"))).toBe(true);
});

test("without an answer of the API server the caller is told to try again", async () => {
  const t = setup();
  const away = new Authoriser({
    client: { post: () => Promise.reject(new Error("away")) },
    metrics: createGatewayMetrics(),
    clock: systemClock,
  });
  await expect(async () => await away.authorise(t.caller, t.target("a"))).rejects.toMatchObject({ code: "K106" });
});
