import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FrameType } from "../api/environment-protocol.ts";
import { Annotation } from "../resources/labels.ts";
import { type Agent, assignedTo, NO_KEEPER, setup } from "./testing/dispatch-harness.ts";
import { Tickets } from "./tickets.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const identity = (number: number) => ({
  namespace: "team",
  podName: `f-${number}`,
  podUid: `uid-${number}`,
  assignmentId: assignedTo(),
});

/** A gateway that watched another one's function with some environments, busy for the owner, and now takes it over. */
async function takeover({ environments = 3, limit = 3, mute = 0 } = {}) {
  const t = setup({ owned: false });
  t.put("f", { spec: { reservedConcurrentExecutions: limit } });
  const agents: Agent[] = [];
  for (let i = 0; i < environments; i++) {
    t.watch(identity(i));
    const agent = await t.connectPod(identity(i), "busy");
    agent.isMute = i < mute;
    agents.push(agent);
  }
  t.ownership(true);
  return { t, agents };
}

test("a new owner counts what runs for the former one, and starts nothing beside it", async () => {
  const { t, agents } = await takeover();
  expect(t.invoke("a").outcome()).toMatchObject({ type: "refused", error: { code: "K105" } });
  for (const agent of agents) {
    agent.state = "assigned";
    agent.answerEpoch();
  }
  expect(t.invoke("b").outcome()).toBeUndefined();
  expect([agents.map(({ running }) => running).filter(Boolean), t.created]).toEqual([["b"], []]);
});

test("events wait until everybody has told what he does: an idle environment takes none before", async () => {
  const { t, agents } = await takeover({ environments: 2, mute: 1 });
  const [silent, other] = agents;
  if (!silent || !other) throw new Error("there are two");
  other.state = "assigned";
  other.answerEpoch();
  const call = t.invoke("a");
  await t.pass(1_000);
  expect([call.outcome(), other.running, t.created]).toEqual([undefined, undefined, []]);
  silent.speak();
  expect(other.running).toBe("a");
});

test("whoever is silent for two seconds counts as running something, until he is heard of or gone", async () => {
  const { t, agents } = await takeover({ environments: 2, limit: 2, mute: 2 });
  await t.pass(2_500);
  expect(t.invoke("a").outcome()).toMatchObject({ type: "refused", error: { code: "K105" } });
  t.watch(identity(0), { status: { phase: "Failed" } });
  expect(t.invoke("b").outcome()).toBeUndefined();
  expect(t.invoke("c").outcome()).toMatchObject({ type: "refused", error: { code: "K105" } });
  const [, other] = agents;
  if (!other) throw new Error("there are two");
  other.state = "assigned";
  other.speak();
  expect(t.invoke("d").outcome()).toBeUndefined();
});

test("an environment of a former revision that is not heard of yet may end its event: its pod has its own time", async () => {
  const t = setup({ owned: false });
  t.put("f");
  t.watch(identity(0), { status: { phase: "Running", containerStatuses: [{ name: "environment", state: { running: {} } }] } });
  t.put("f", { revision: "2" });
  t.ownership(true);
  await t.pass(0);
  expect(t.removed).toEqual([{ podName: "f-0", grace: undefined }]);
});

test("whoever is not heard of yet counts from the beginning, and once", async () => {
  const { t } = await takeover({ environments: 2, limit: 3, mute: 2 });
  const calls = ["a", "b"].map((id) => t.invoke(id));
  expect(calls.map(({ outcome }) => outcome()?.type)).toEqual([undefined, "refused"]);
});

test("pods that are being made have nothing to tell: a takeover does not count them as used", async () => {
  const t = setup({ owned: false });
  t.put("f", { spec: { reservedConcurrentExecutions: 2 } });
  for (const i of [0, 1]) t.watch(identity(i), { status: { phase: "Pending" }, ageMs: 0 });
  t.ownership(true);
  const calls = ["a", "b"].map((id) => t.invoke(id));
  await t.pass(3_000);
  expect(calls.map(({ outcome }) => outcome())).toEqual([undefined, undefined]);
  const agent = await t.connectPod(identity(0), "unassigned");
  agent.assigned();
  expect([agent.running, t.created]).toEqual(["a", []]);
});

describe("an environment from a pool, whose gateway is gone", () => {
  const pod = identity(0);
  const { namespace, podName, podUid, assignmentId } = pod;

  /** One that watched it become the function of a gateway that is gone by now. */
  async function taken() {
    const written: (string | undefined)[] = [];
    const became = (environment: { assignmentId: string | undefined }) => void written.push(environment.assignmentId);
    const t = setup({ owned: false, keeper: { ...NO_KEEPER, becameFunction: became } });
    t.put("f");
    const show = (says: Record<string, string> = {}) =>
      t.environments.putPod({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { namespace, name: podName, uid: podUid, annotations: { [Annotation.pool]: "python", ...says } },
      });
    show();
    const agent = await t.connectPod(pod, "busy", { assignmentId, pass: new Tickets("secret").pass(podUid, assignmentId) });
    const tell = () => agent.say({ type: FrameType.assigned, header: { assignmentId, initDurationMs: 5 } });
    return { t, agent, written, show, tell };
  }

  test("has what it is written by the new owner, once", async () => {
    const { t, agent, written, tell } = await taken();
    tell();
    await t.pass(5_000);
    expect(written).toEqual([]);
    t.ownership(true);
    tell();
    await t.pass(5_000);
    tell();
    await t.pass(5_000);
    expect([written, agent.closed]).toEqual([[assignmentId], undefined]);
  });

  test("has nothing written when its pod says what it is", async () => {
    const { t, written, show, tell } = await taken();
    t.ownership(true);
    tell();
    show({ [Annotation.assignment]: assignmentId });
    await t.pass(5_000);
    expect(written).toEqual([]);
  });

  test("is left alone when what became of it is heard before who it is", async () => {
    const { t, agent } = await taken();
    const other = { ...pod, podName: "f-9", podUid: "uid-9" };
    t.environments.adoptPooled(other, { name: "python", hash: "", madeBy: "" });
    const pass = new Tickets("secret");
    const early = await t.connectPod(other, "unassigned", { ticket: pass.ticket("uid-9") });
    early.say({ type: FrameType.assigned, header: { assignmentId, initDurationMs: 5 } });
    early.say({
      type: FrameType.stateChange,
      header: { state: "assigned", epoch: 1, assignmentId, pass: pass.pass("uid-9", assignmentId) },
    });
    expect([early.closed, agent.closed, [...t.environments.all()].map(({ phase }) => phase)]).toEqual([
      undefined,
      undefined,
      ["foreign", "idle"],
    ]);
  });
});
