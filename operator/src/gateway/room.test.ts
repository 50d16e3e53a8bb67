import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FrameType } from "../api/environment-protocol.ts";
import { runnableId } from "../domain/effective.ts";
import { KubeError } from "../kube/errors.ts";
import type { Pod } from "./pod.ts";
import { type Agent, effectiveOf, setup } from "./testing/dispatch-harness.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Setup = ReturnType<typeof setup>;

const NO_ROOM: NonNullable<Pod["status"]> = {
  phase: "Pending",
  conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/1 nodes are available" }],
};
const QUOTA = new KubeError('pods "f-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2', {
  status: 403,
  reason: "Forbidden",
});

/** An idle environment of a function of its own. */
async function idle(t: Setup, name: string): Promise<Agent> {
  t.put(name);
  t.invoke(`of ${name}`, name);
  await t.pass(0);
  const agent = await t.connect(t.created.length - 1);
  agent.assigned();
  agent.answer();
  await t.pass(1_000);
  return agent;
}

const gone = (agents: Agent[]) => agents.map((agent) => agent.last(FrameType.shutdown) !== undefined);

describe("a pod that finds no node", () => {
  test("gets room at once, each one that is needed its own, from what was idle the longest", async () => {
    const t = setup();
    const agents = [await idle(t, "a"), await idle(t, "b"), await idle(t, "c")];
    t.put("f");
    t.invoke("1");
    t.invoke("2");
    await t.pass(0);
    t.watch(t.pod(3), { status: NO_ROOM });
    t.watch(t.pod(4), { status: NO_ROOM });
    expect(gone(agents)).toEqual([true, true, false]);
    // Watched again, it has got its room already.
    t.watch(t.pod(3), { status: NO_ROOM });
    await t.pass(1_000);
    expect(gone(agents)).toEqual([true, true, false]);
  });

  test("gets more when that was not enough", async () => {
    const t = setup();
    const agents = [await idle(t, "a"), await idle(t, "b")];
    t.put("f");
    t.invoke("1");
    await t.pass(0);
    t.watch(t.pod(2), { status: NO_ROOM });
    await t.pass(2_500);
    expect(gone(agents)).toEqual([true, true]);
  });

  test("is given up when its caller has been served meanwhile", async () => {
    const t = setup();
    const other = await idle(t, "a");
    t.put("f");
    t.invoke("1");
    t.invoke("2");
    await t.pass(0);
    const agent = await t.connect(1);
    agent.assigned();
    agent.answer();
    agent.answer();
    t.watch(t.pod(2), { status: NO_ROOM });
    expect([gone([other]), t.removed.map(({ podName }) => podName)]).toEqual([[false], ["f-2"]]);
  });

  test("gets room from other gateways, then from the pools, when nothing idles here", async () => {
    const asked: string[] = [];
    const has = { peers: true };
    const t = setup({
      askPeers: async () => {
        asked.push("peers");
        return has.peers;
      },
      pools: {
        take: () => undefined,
        missed() {},
        giveUpOne: () => {
          asked.push("pools");
          return true;
        },
        settled: () => true,
      },
    });
    t.put("f");
    t.invoke("1");
    await t.pass(0);
    t.watch(t.pod(0), { status: NO_ROOM });
    await t.pass(0);
    expect(asked).toEqual(["peers"]);
    has.peers = false;
    await t.pass(2_500);
    expect(asked).toEqual(["peers", "peers", "pools"]);
  });
});

describe("a pod that a quota forbids", () => {
  test("gets the room of what was idle the longest, once for each that is needed, and is asked for again", async () => {
    const t = setup();
    const agents = [await idle(t, "a"), await idle(t, "b")];
    t.put("f");
    t.control.createError = QUOTA;
    const call = t.invoke("1");
    await t.pass(600);
    expect([gone(agents), call.outcome()]).toEqual([[true, false], undefined]);
    t.control.createError = undefined;
    await t.pass(500);
    expect(t.created).toHaveLength(3);
  });

  test("is given up when there is nothing to give: the caller hears of the quota", async () => {
    const t = setup();
    t.put("f");
    t.control.createError = QUOTA;
    const call = t.invoke("1");
    await t.pass(0);
    expect(call.outcome()).toMatchObject({ type: "refused", error: { message: expect.stringContaining("exceeded quota: small") } });
  });
});

describe("an environment of provisioned concurrency", () => {
  async function provisioned() {
    const t = setup({ keepAliveMs: 5_000 });
    t.put();
    t.putVersion(1);
    const assignmentId = runnableId({ uid: "uid-of-f", version: "1", effective: effectiveOf("1") });
    const identity = { namespace: "team", podName: "f-kept", podUid: "uid-kept", assignmentId };
    t.watch(identity, { provisioned: "PROD" });
    const agent = await t.connectPod(identity, "unassigned");
    agent.assigned();
    return { t, agent };
  }

  test("is told what it is, and stays however long it is not used and whoever needs room", async () => {
    const { t, agent } = await provisioned();
    expect(agent.last(FrameType.assign)?.header).toMatchObject({ version: "1", initializationType: "provisioned-concurrency" });
    await t.pass(60_000);
    t.put("g");
    t.invoke("1", "g");
    await t.pass(0);
    t.watch(t.pod(0), { status: NO_ROOM });
    expect(gone([agent])).toEqual([false]);
  });

  test("is used first; further events run on demand and are counted as spilled over", async () => {
    const { t, agent } = await provisioned();
    t.invoke("a", "f", { version: "1" });
    t.invoke("b", "f", { version: "1" });
    await t.pass(0);
    const second = await t.connect(0);
    second.assigned();
    expect([agent.running, second.running]).toEqual(["a", "b"]);
    agent.answer();
    second.answer();
    t.invoke("c", "f", { version: "1" });
    expect(agent.running).toBe("c");
    // It comes back: that counts nothing, until it has run.
    agent.say({ type: FrameType.busy, header: { requestId: "c" } });
    t.invoke("d", "f", { version: "1" });
    const value = async (name: string) => (await t.metrics.registry.getSingleMetric(name)?.get())?.values[0]?.value;
    expect(await value("kappa_provisioned_concurrency_invocations_total")).toBe(1);
    expect(await value("kappa_provisioned_concurrency_spillover_invocations_total")).toBe(1);
    expect(await value("kappa_provisioned_concurrency_executions")).toBe(0);
  });
});
