import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Assignment, CloseCode, FrameType } from "../api/environment-protocol.ts";
import type { FunctionEffective } from "../api/types.generated.ts";
import type { KappaError } from "../domain/errors.ts";
import { KubeError } from "../kube/errors.ts";
import type { Outcome } from "./invocation.ts";
import type { Pod } from "./pod.ts";
import { type Agent, assignedTo, type MadePod, setup } from "./testing/dispatch-harness.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Lambda's error object, as the caller gets it. */
function failureOf(outcome: Outcome | undefined): unknown {
  if (outcome?.type !== "functionError" && outcome?.type !== "result") throw new Error(`ended with ${outcome?.type}`);
  return JSON.parse(Buffer.from(outcome.body).toString());
}

function errorOf(outcome: Outcome | undefined): KappaError {
  if (outcome?.type !== "refused") throw new Error(`ended with ${outcome?.type}`);
  return outcome.error;
}

describe("environments are started", () => {
  /** A function whose events take 19 ms and whose first pod took so long: a second after its code changed, with 20 callers who wait. */
  async function changedUnderLoad({ startMs }: { startMs: number }) {
    const t = setup();
    t.put();
    t.invoke("first");
    await t.pass(startMs);
    const agent = await t.connect(0);
    agent.assigned();
    agent.answer({ durationMs: 19 });
    agent.state = "assigned";
    t.put("f", { revision: "2" });
    for (let i = 0; i < 20; i++) t.invoke(`${i}`);
    await t.pass(1_000);
    return t;
  }

  test("one for each caller that waits, and none for what an existing one can take", async () => {
    const t = setup();
    t.put();
    for (const id of ["a", "b", "c"]) t.invoke(id);
    await t.pass(1_000);
    expect(t.created).toHaveLength(3);
    const agent = await t.connect(0);
    agent.assigned();
    agent.answer();
    expect(agent.running).toBe("b");
    agent.answer();
    expect(agent.running).toBe("c");
    agent.answer();
    for (const id of ["d", "e"]) t.invoke(id);
    await t.pass(1_000);
    expect(t.created).toHaveLength(3);
  });

  test("not for callers whom a running one serves sooner; for them as well, together, when it does not", async () => {
    const t = setup();
    t.put();
    t.invoke("first");
    const agent = await t.connect(0);
    agent.assigned();
    agent.answer({ durationMs: 2 });
    for (const id of ["a", "b", "c"]) t.invoke(id);
    await t.pass(99);
    expect(t.created).toHaveLength(1);
    await t.pass(1);
    expect(t.created).toHaveLength(2);
  });

  test("and what a pool did not have is told once for each pod that is made, not for each look into it", async () => {
    const missed = vi.fn();
    const t = setup({ pools: { take: () => undefined, missed, giveUpOne: () => false, settled: () => true } });
    t.put();
    t.control.createError = new KubeError("no answer", { status: 0, reason: "ECONNREFUSED" });
    t.invoke("first");
    await t.pass(3_000);
    expect(missed).not.toHaveBeenCalled();
    t.control.createError = undefined;
    await t.pass(1_500);
    const agent = await t.connect(0);
    agent.assigned();
    agent.answer({ durationMs: 2 });
    for (let i = 0; i < 10; i++) t.invoke(`${i}`);
    await t.pass(50);
    for (let i = 0; i < 10; i++) agent.answer({ durationMs: 2 });
    await t.pass(1_000);
    expect([t.outcomes.size, t.created.length, missed.mock.calls.length]).toEqual([11, 1, 1]);
  });

  test("few when the code changes under load, as many as its events need", async () => {
    const t = await changedUnderLoad({ startMs: 0 });
    expect(t.created.slice(1).map(({ identity }) => identity.assignmentId)).toEqual(Array(4).fill(assignedTo("2")));
    const next = await t.connect(1);
    next.assigned();
    for (let i = 0; i < 20; i++) next.answer({ durationMs: 19 });
    expect([...t.outcomes.values()].filter(({ type }) => type === "result")).toHaveLength(21);
  });

  test("and no more at a time than run, when pods take so long that those on their way serve all as soon", async () => {
    const t = await changedUnderLoad({ startMs: 1_000 });
    expect(t.created).toHaveLength(2);
    // One runs, and those who are left do not all fit into its patience: one more is made.
    const next = await t.connect(1);
    next.assigned();
    await t.pass(0);
    expect(t.created).toHaveLength(3);
    for (let i = 0; i < 20; i++) next.answer({ durationMs: 19 });
    expect([...t.outcomes.values()].filter(({ type }) => type === "result")).toHaveLength(21);
  });

  test("and given the most recently used first, so that the others can grow old", async () => {
    const t = setup();
    t.put();
    t.invoke("a");
    t.invoke("b");
    await t.pass(0);
    const agents = [await t.connect(0), await t.connect(1)];
    for (const agent of agents) agent.assigned();
    agents[1]?.answer();
    agents[0]?.answer();
    for (let i = 0; i < 5; i++) {
      t.invoke(`again-${i}`);
      expect(agents[0]?.running).toBe(`again-${i}`);
      agents[0]?.answer();
    }
    expect(agents[1]?.running).toBe("b");
  });

  test("again when one does not connect, and its pod is removed", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(20_500);
    expect(t.removed).toEqual([{ podName: "f-0", grace: 1 }]);
    expect(t.created).toHaveLength(2);
    (await t.connect(1)).assigned();
    expect(call.outcome()).toBeUndefined();
  });

  test("three times, then the caller hears what stands in the way", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    for (let i = 0; i < 3; i++) {
      await t.pass(0);
      t.watch(t.pod(i), {
        status: {
          phase: "Pending",
          containerStatuses: [{ name: "environment", state: { waiting: { reason: "ErrImagePull", message: "no such image" } } }],
        },
      });
      await t.pass(20_250);
    }
    const error = errorOf(call.outcome());
    expect([error.code, error.message]).toEqual(["K106", expect.stringContaining("ErrImagePull: no such image")]);
    expect(t.removed).toHaveLength(3);
  });

  test("again when many of a burst do not connect in time: together they are one failure", async () => {
    const t = setup();
    t.put();
    const calls = Array.from({ length: 5 }, (_, i) => t.invoke(`${i}`));
    await t.pass(20_500);
    expect(t.created).toHaveLength(10);
    expect(calls.map(({ outcome }) => outcome())).toEqual(Array(5).fill(undefined));
  });

  test("elsewhere when a node has fallen silent", async () => {
    const t = setup();
    t.put();
    t.invoke("a");
    await t.pass(0);
    t.watch(t.pod(0), { nodeName: "worker-1" });
    const agent = await t.connect(0);
    agent.assigned();
    agent.listener?.disconnected("silent");
    await t.pass(2_000);
    t.invoke("b");
    await t.pass(3_500);
    expect(t.created.map(({ avoidNodes }) => avoidNodes)).toEqual([[], ["worker-1"]]);
    expect(t.removed[0]).toEqual({ podName: "f-0", grace: 0 });
  });

  test("elsewhere when a node takes no note of its pod, as one that lost its power", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    t.watch(t.pod(0), { nodeName: "worker-1", status: { phase: "Pending" } });
    await t.pass(2_500);
    expect(t.created).toHaveLength(1);
    await t.pass(1_500);
    expect(t.created.map(({ avoidNodes }) => avoidNodes)).toEqual([[], ["worker-1"]]);
    expect(t.removed).toEqual([{ podName: "f-0", grace: 0 }]);
    expect(call.outcome()).toBeUndefined();
  });

  test("but not elsewhere again when the next node takes no note either: the nodes are busy, and more pods would make them busier", async () => {
    const t = setup();
    t.put();
    t.invoke("a");
    await t.pass(0);
    t.watch(t.pod(0), { nodeName: "worker-1", status: { phase: "Pending" } });
    await t.pass(4_000);
    t.watch(t.pod(1), { nodeName: "worker-2", status: { phase: "Pending" } });
    await t.pass(6_000);
    expect(t.created.map(({ avoidNodes }) => avoidNodes)).toEqual([[], ["worker-1"]]);
  });

  test("where they are placed when the node is merely slow: it took note of the pod, or of another one just now", async () => {
    const t = setup();
    t.put();
    t.invoke("a");
    t.invoke("b");
    await t.pass(0);
    const acknowledged = { phase: "Pending", startTime: "2026-01-01T00:00:00Z" };
    t.watch(t.pod(0), { nodeName: "worker-1", status: acknowledged });
    t.watch(t.pod(1), { nodeName: "worker-1", status: { phase: "Pending" } });
    for (let i = 0; i < 4; i++) {
      await t.pass(2_000);
      t.watch(t.pod(0), { nodeName: "worker-1", status: acknowledged });
    }
    expect(t.created).toHaveLength(2);
    (await t.connect(0)).assigned();
    await t.pass(5_000);
    expect(t.created).toHaveLength(2);
  });

  test("at once elsewhere when the node that it was to start on falls silent", async () => {
    const t = setup();
    t.put();
    t.invoke("a");
    await t.pass(0);
    t.watch(t.pod(0), { nodeName: "worker-1", status: { phase: "Pending" } });
    await t.pass(2_000);
    expect(t.created).toHaveLength(1);
    t.suspects.suspect("worker-1");
    await t.pass(500);
    expect(t.created.map(({ avoidNodes }) => avoidNodes)).toEqual([[], ["worker-1"]]);
  });

  test("on a suspect node after all when no other has room", async () => {
    const t = setup();
    t.put();
    t.suspects.suspect("worker-1");
    t.invoke("a");
    await t.pass(0);
    t.watch(t.pod(0), {
      status: {
        phase: "Pending",
        conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/1 nodes are available" }],
      },
    });
    await t.pass(500);
    expect(t.created.map(({ avoidNodes }) => avoidNodes)).toEqual([["worker-1"], []]);
    expect(t.removed.map(({ podName }) => podName)).toEqual(["f-0"]);
  });

  test("and there it is waited for, as there is no better place", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const noted = { nodeName: "worker-1", status: { phase: "Pending" } };
    t.watch(t.pod(0), noted);
    await t.pass(3_500);
    t.watch(t.pod(1), {
      status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable" }] },
    });
    await t.pass(500);
    t.watch(t.pod(2), noted);
    await t.pass(15_000);
    expect(t.created.map(({ avoidNodes }) => avoidNodes)).toEqual([[], ["worker-1"], []]);
    const agent = await t.connect(2);
    agent.assigned();
    agent.answer();
    await t.pass(0);
    expect(call.outcome()).toMatchObject({ type: "result", result: { requestId: "a" } });
    expect(t.removed.map(({ podName }) => podName)).toEqual(["f-0", "f-1"]);
  });

  test("in the room of the environment that was idle the longest, when the cluster is full", async () => {
    const t = setup();
    t.put("old");
    t.put("young");
    t.put("f");
    for (const name of ["old", "young"]) {
      t.invoke(name, name);
      await t.pass(0);
      const agent = await t.connect(t.created.length - 1);
      agent.assigned();
      agent.answer();
      await t.pass(5_000);
    }
    t.invoke("a");
    await t.pass(0);
    t.watch(t.pod(2), { status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable" }] } });
    await t.pass(500);
    expect(t.removed).toEqual([{ podName: "old-0", grace: undefined }]);
  });

  test("once the API server is back, when it was away", async () => {
    const t = setup();
    t.put();
    t.control.createError = new KubeError("no answer", { status: 0, reason: "ECONNREFUSED" });
    const call = t.invoke("a");
    await t.pass(5_000);
    expect([t.created.length, call.outcome()]).toEqual([0, undefined]);
    t.control.createError = undefined;
    await t.pass(1_500);
    expect(t.created).toHaveLength(1);
  });

  test("not at all when the API server refuses, and the caller hears why", async () => {
    const t = setup();
    t.put();
    t.control.createError = new KubeError("exceeded quota: pods=10", { status: 403, reason: "Forbidden" });
    const call = t.invoke("a");
    await t.pass(0);
    expect(errorOf(call.outcome()).message).toContain("exceeded quota");
  });

  test("not for callers that went away, whose concurrency is free again", async () => {
    const t = setup();
    t.put("f", { spec: { reservedConcurrentExecutions: 1 } });
    t.control.createError = new KubeError("no answer", { status: 0, reason: "ECONNREFUSED" });
    t.invoke("a").cancel();
    await t.pass(500);
    t.control.createError = undefined;
    await t.pass(5_000);
    expect(t.created).toHaveLength(0);
    expect(t.invoke("b").outcome()).toBeUndefined();
  });
});

describe("events", () => {
  test("that an agent does not take go to another environment", async () => {
    const t = setup();
    t.put();
    t.invoke("a");
    t.invoke("b");
    await t.pass(0);
    const [first, second] = [await t.connect(0), await t.connect(1)];
    first.assigned();
    second.assigned();
    second.answer();
    first.say({ type: FrameType.busy, header: { requestId: "a" } });
    expect(second.running).toBe("a");
  });

  test("whose result carries another id are never answered with it", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    agent.answer({ requestId: "stolen" });
    expect(errorOf(call.outcome()).code).toBe("K106");
    expect(agent.closed).toBe(CloseCode.goingAway);
  });

  test("of an environment that the kernel killed end as Lambda says", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    agent.listener?.disconnected("broken");
    await t.pass(500);
    t.watch(t.pod(0), {
      status: {
        phase: "Failed",
        containerStatuses: [{ name: "environment", state: { terminated: { reason: "OOMKilled", exitCode: 137 } } }],
      },
    });
    expect(failureOf(call.outcome())).toEqual(KILLED);
    expect(await errorsCounted(t)).toBe(1);
  });

  test("of an environment that the kernel killed end when its container has, a second before the phase of its pod says so", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    agent.listener?.disconnected("broken");
    t.watch(t.pod(0), { status: { ...KILLED_POD, phase: "Running" } });
    expect(failureOf(call.outcome())).toEqual(KILLED);
    // The phase follows; neither that nor what comes in between is a new environment.
    t.watch(t.pod(0), { status: { ...KILLED_POD, phase: "Running" } });
    t.watch(t.pod(0), { status: KILLED_POD });
    expect(t.environments.counts()).toEqual({ starting: 0, idle: 0, busy: 0, retiring: 0 });
  });

  test("of an environment whose kubelet is slow to report are answered with what it reports within five seconds", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    agent.listener?.disconnected("broken");
    await t.pass(4_500);
    expect(call.outcome()).toBeUndefined();
    t.watch(t.pod(0), { status: KILLED_POD });
    expect(failureOf(call.outcome())).toEqual(KILLED);
  });

  test("of an environment that was evicted because its own /tmp was full are the function's error", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    agent.listener?.disconnected("broken");
    // The container is gone a moment before the pod says why, and what it ended with is no verdict.
    t.watch(t.pod(0), { status: { ...EVICTED_CONTAINER, phase: "Running" } });
    expect(call.outcome()).toBeUndefined();
    t.watch(t.pod(0), { status: evicted('Usage of EmptyDir volume "tmp" exceeds the limit "512Mi". ') });
    expect(failureOf(call.outcome())).toEqual(TMP_FULL);
    expect(await errorsCounted(t)).toBe(1);
  });

  test("that wait while an initialisation fills /tmp: one gets that as its answer", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.listener?.disconnected("broken");
    t.watch(t.pod(0), { status: evicted('Usage of EmptyDir volume "tmp" exceeds the limit "512Mi". ') });
    expect(failureOf(call.outcome())).toEqual(TMP_FULL);
  });

  test.each([
    ["its node needs room", "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 0. "],
    ["another volume is full, which its function cannot write to", 'Usage of EmptyDir volume "task" exceeds the limit "512Mi". '],
    ["a volume of another name is", 'Usage of EmptyDir volume "tmp2" exceeds the limit "512Mi". '],
  ])("of an environment that was evicted because %s may be tried again", async (_, message) => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    agent.listener?.disconnected("broken");
    t.watch(t.pod(0), { status: evicted(message) });
    expect(errorOf(call.outcome())).toMatchObject({ code: "K106", message: expect.stringContaining("Retry the request") });
  });

  test("of an environment that ended otherwise are not blamed on its memory, though it overran once before", async () => {
    const t = setup();
    t.put();
    t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    agent.answer({ errorType: "Runtime.OutOfMemory", functionError: "Unhandled" });
    const call = t.invoke("b");
    agent.listener?.disconnected("broken");
    await t.pass(500);
    t.watch(t.pod(0), { status: KILLED_POD });
    expect(errorOf(call.outcome()).code).toBe("K106");
  });

  test("of an environment whose first process was not killed are not blamed on its memory", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    agent.listener?.disconnected("broken");
    t.watch(t.pod(0), {
      status: {
        phase: "Failed",
        containerStatuses: [{ name: "environment", state: { terminated: { reason: "OOMKilled", exitCode: 1 } } }],
      },
    });
    expect(errorOf(call.outcome()).code).toBe("K106");
  });

  test("that wait while the kernel kills an environment in its initialisation: one gets Lambda's answer, the next a new environment", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.listener?.disconnected("broken");
    t.watch(t.pod(0), { status: KILLED_POD });
    expect(failureOf(call.outcome())).toEqual(KILLED);
    t.invoke("b");
    await t.pass(0);
    expect(t.created).toHaveLength(2);
  });

  test("whose environment was killed before it was given anything are not answered for that", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    t.watch(t.pod(0), { status: KILLED_POD });
    await t.pass(0);
    expect([call.outcome(), t.created.length]).toEqual([undefined, 2]);
  });

  test.each([
    ["InvalidZipFileException", "K107"],
    ["ServiceException", "K106"],
  ])("hear that their package was not put in place (%s), and the next one starts anew", async (errorType, code) => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.failed("package", errorType);
    expect(errorOf(call.outcome())).toMatchObject({ code, message: "the agent's words" });
    expect([agent.last(FrameType.shutdown)?.header, t.removed]).toEqual([{ reason: "failed" }, [{ podName: "f-0", grace: undefined }]]);
    t.invoke("b");
    await t.pass(0);
    expect(t.created).toHaveLength(2);
  });

  test("wait until an agent that refused its assignment, since it knew of a later view of the gateways, can be assigned", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.failed("refused", "ServiceException");
    await t.pass(0);
    expect([call.outcome(), t.created.length]).toEqual([undefined, 1]);
    agent.say({ type: FrameType.stateChange, header: { state: "unassigned", epoch: 1 } });
    agent.assigned();
    expect(agent.running).toBe("a");
  });

  test("are ended by nothing of ours before their time-out and a margin have passed, however silent they are", async () => {
    const t = setup();
    t.put("f", { over: { timeout: 900 } });
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    await t.pass(914_000);
    expect([call.outcome(), agent.last(FrameType.shutdown), t.removed]).toEqual([undefined, undefined, []]);
    agent.answer();
    expect(call.outcome()?.type).toBe("result");
  });

  test("of an agent that has stopped answering end after that margin", async () => {
    const t = setup();
    t.put("f", { over: { timeout: 900 } });
    const call = t.invoke("a");
    await t.pass(0);
    (await t.connect(0)).assigned();
    await t.pass(915_500);
    expect(errorOf(call.outcome()).code).toBe("K106");
  });

  test("whose caller went away run to their end, use their concurrency and their environment until then, and are counted", async () => {
    const t = setup();
    t.put("f", { spec: { reservedConcurrentExecutions: 1 }, over: { timeout: 60 } });
    const gone = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    gone.cancel();
    await t.pass(30_000);
    expect(errorOf(t.invoke("b").outcome()).details).toMatchObject({ Reason: "ReservedFunctionConcurrentInvocationLimitExceeded" });
    expect([agent.running, agent.last(FrameType.shutdown), t.dispatchers.inFlight]).toEqual(["a", undefined, 1]);
    agent.answer({ durationMs: 30_000, billedMs: 30_000 });
    expect(await invocationsCounted(t)).toBe(1);
    t.invoke("c");
    expect([agent.running, t.created.length]).toEqual(["c", 1]);
  });

  test("that reach an agent which is going in order run elsewhere", async () => {
    const t = setup();
    t.put();
    const call = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    agent.listener?.disconnected("orderly");
    await t.pass(0);
    expect([call.outcome(), t.removed, t.created.length]).toEqual([undefined, [{ podName: "f-0", grace: undefined }], 2]);
    const other = await t.connect(1);
    other.assigned();
    other.answer();
    expect(call.outcome()).toMatchObject({ type: "result", result: { requestId: "a" } });
  });

  test("that wait go to the new owner, those that run end here", async () => {
    const t = setup();
    t.put();
    const running = t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    const waiting = t.invoke("b");
    t.control.owned = false;
    t.dispatchers.ownersChanged();
    expect(waiting.outcome()).toEqual({ type: "notOwner" });
    agent.answer();
    expect(running.outcome()?.type).toBe("result");
    expect(t.invoke("c").outcome()).toEqual({ type: "notOwner" });
  });

  test("over the account's limit are throttled, reservations set aside", async () => {
    const t = setup({ accountConcurrency: 102 });
    t.put("f");
    t.put("reserved", { spec: { reservedConcurrentExecutions: 2 } });
    for (let i = 0; i < 100; i++) expect(t.invoke(`${i}`).outcome()).toBeUndefined();
    expect(errorOf(t.invoke("d").outcome()).details).toMatchObject({ Reason: "ConcurrentInvocationLimitExceeded" });
    for (const id of ["e", "g"]) expect(t.invoke(id, "reserved").outcome()).toBeUndefined();
    expect(errorOf(t.invoke("h", "reserved").outcome()).details).toMatchObject({
      Reason: "ReservedFunctionConcurrentInvocationLimitExceeded",
    });
  });
});

/** Lambda's answer for an environment that was killed while it ran the event "a". */
const KILLED = { errorType: "Runtime.OutOfMemory", errorMessage: "RequestId: a Error: Runtime exited with error: signal: killed" };
const KILLED_POD: NonNullable<Pod["status"]> = {
  phase: "Failed",
  containerStatuses: [{ name: "environment", state: { terminated: { reason: "OOMKilled", exitCode: 137 } } }],
};

const EVICTED_CONTAINER: NonNullable<Pod["status"]> = {
  containerStatuses: [{ name: "environment", state: { terminated: { reason: "Error", exitCode: 137 } } }],
};
/** A pod that its kubelet ended, in the kubelet's words. */
const evicted = (message: string): NonNullable<Pod["status"]> => ({ ...EVICTED_CONTAINER, phase: "Failed", reason: "Evicted", message });
const TMP_FULL = {
  errorType: "Runtime.ExitError",
  errorMessage:
    "RequestId: a Error: /tmp is full: it held more than the 512Mi of the function's ephemeralStorage, so its environment was ended",
};

type Setup = ReturnType<typeof setup>;
const counted = async (t: Setup, name: string) => (await t.metrics.registry.getSingleMetric(name)?.get())?.values[0]?.value ?? 0;
const errorsCounted = (t: Setup) => counted(t, "kappa_errors_total");
const invocationsCounted = (t: Setup) => counted(t, "kappa_invocations_total");

describe("a response that is streamed", () => {
  const KIB = 1024;
  async function streaming(request: { streaming: boolean } = { streaming: true }) {
    const t = setup();
    t.put();
    const call = t.invoke("a", "f", request);
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    const part = (bytes: number | string, over: object = {}) =>
      agent.say({
        type: FrameType.responseChunk,
        header: { requestId: "a", ...over },
        body: typeof bytes === "string" ? Buffer.from(bytes) : Buffer.alloc(bytes, "x"),
      });
    const credit = () => agent.sent.filter((frame) => frame.type === FrameType.credit).map(({ header }) => header);
    return { ...t, agent, call, part, credit };
  }

  test("goes to the caller part by part, with its type", async () => {
    const { part, chunks, call, agent } = await streaming();
    part("first ", { contentType: "text/html" });
    part("second");
    expect(chunks.map(({ text, contentType }) => [text, contentType])).toEqual([
      ["first ", "text/html"],
      ["second", undefined],
    ]);
    expect(call.outcome()).toBeUndefined();
    agent.answer({ streamed: true });
    expect(call.outcome()).toMatchObject({ type: "result", result: { streamed: true } });
  });

  test("is credited when its bytes have left, in steps that are worth a frame", async () => {
    const { part, chunks, credit } = await streaming();
    for (let i = 0; i < 4; i++) part(40 * KIB);
    expect(credit()).toEqual([]);
    chunks[0]?.left(40 * KIB);
    expect(credit()).toEqual([]);
    chunks[1]?.left(80 * KIB);
    expect(credit()).toEqual([{ requestId: "a", bytes: 120 * KIB }]);
    chunks[3]?.left(40 * KIB);
    expect(credit()).toHaveLength(1);
  });

  test("takes the whole window and no more: an agent that sends on is given up", async () => {
    const { part, chunks, agent } = await streaming();
    for (let i = 0; i < 16; i++) part(64 * KIB);
    expect([chunks.length, agent.closed]).toEqual([16, undefined]);
    part(1);
    expect([chunks.length, agent.closed]).toEqual([16, CloseCode.protocolError]);
  });

  test("may be 200 MiB long and no longer", async () => {
    const { part, chunks, agent } = await streaming();
    for (let i = 0; i < 201; i++) {
      part(1024 * KIB);
      chunks.at(-1)?.left(1024 * KIB);
    }
    expect(agent.closed).toBeUndefined();
    part(1);
    expect(agent.closed).toBe(CloseCode.protocolError);
  });

  test("has no empty part: nothing would be charged or credited for as many of them as an agent likes", async () => {
    const { part, chunks, agent } = await streaming();
    part(0);
    expect([chunks, agent.closed]).toEqual([[], CloseCode.protocolError]);
  });

  test.each<[string, (agent: Agent) => void]>([
    ["was not taken after all", (agent) => agent.say({ type: FrameType.busy, header: { requestId: "a" } })],
    ["goes without an answer", (agent) => agent.listener?.disconnected("orderly")],
  ])("of which parts have gone to the caller is not begun anew when its agent says that it %s", async (_, say) => {
    const { part, agent, call, pass, connect, created } = await streaming();
    part("half of ");
    say(agent);
    await pass(6_000);
    expect(errorOf(call.outcome()).code).toBe("K106");
    if (created.length > 1) expect((await connect(1)).running).toBeUndefined();
  });

  test("never reaches another event's caller", async () => {
    const { part, chunks, agent, call } = await streaming();
    part("x", { requestId: "other" });
    expect([chunks, agent.closed]).toEqual([[], CloseCode.goingAway]);
    expect(errorOf(call.outcome()).code).toBe("K106");
  });

  test.each([
    ["a type that would break out of its header", { contentType: "text/html\r\nx: y" }],
    ["a type that is none", { contentType: 5 }],
    ["no request id", { requestId: 7 }],
  ])("with %s is not passed on", async (_, header) => {
    const { part, chunks, agent } = await streaming();
    part("x", header);
    expect([chunks, agent.closed]).toEqual([[], CloseCode.protocolError]);
  });

  test("of which bytes leave after its end does not credit the next event", async () => {
    const { part, chunks, agent, credit, invoke } = await streaming();
    part(100 * KIB);
    agent.answer({ streamed: true });
    invoke("b", "f", { streaming: true });
    chunks[0]?.left(100 * KIB);
    expect(credit()).toEqual([]);
  });

  test("to a caller who wanted it in one piece is an error beyond Lambda's limit, and counted as one", async () => {
    const t = await streaming({ streaming: false });
    for (let sent = 0; sent <= 6_291_556; sent += 64 * KIB) {
      t.part(64 * KIB);
      t.chunks.at(-1)?.left(64 * KIB);
    }
    t.agent.answer({ streamed: true });
    expect(t.call.outcome()).toMatchObject({ result: { functionError: "Unhandled" } });
    expect(failureOf(t.call.outcome())).toEqual({
      errorType: "Function.ResponseSizeTooLarge",
      errorMessage: "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    });
    expect(await errorsCounted(t)).toBe(1);
  });
});

describe("an agent gets the role's Kubernetes token", () => {
  test("after its assignment, as the function's ServiceAccount or else the namespace's default", async () => {
    const t = setup();
    t.put("f");
    t.put("g", { over: { role: "orders" } });
    t.invoke("a", "f");
    t.invoke("b", "g");
    await t.pass(0);
    const [f, g] = [await t.connect(0), await t.connect(1)];
    expect(f.sent.map(({ type }) => type)).toEqual([FrameType.assign, FrameType.roleToken]);
    expect([f, g].map((agent) => agent.last(FrameType.roleToken)?.header)).toMatchObject([
      { token: "token of team/default" },
      { token: "token of team/orders" },
    ]);
    expect([f, g].map((agent) => agent.last(FrameType.assign)?.header)).toMatchObject([
      { credentials: { accessKeyId: "default in uid-f-0" }, lambdaEndpoint: "http://gateway" },
      { credentials: { accessKeyId: "orders in uid-g-1" } },
    ]);
  });

  test("each new one while it is there, and none when it has gone", async () => {
    const t = setup();
    t.put();
    t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    agent.answer();
    const renewed = { token: "renewed", namespace: "team", caCertificate: "ca" };
    for (const { tell } of t.followers) tell(renewed);
    expect(agent.last(FrameType.roleToken)?.header).toEqual({ ...renewed, assignmentId: assignedTo() });
    agent.listener?.disconnected("broken");
    expect(t.followers.size).toBe(0);
  });

  test("from the function's owner only: it changes with the ownership", async () => {
    const t = setup();
    t.put();
    t.invoke("a");
    await t.pass(0);
    (await t.connect(0)).assigned();
    expect(t.followers.size).toBe(1);
    t.control.owned = false;
    t.dispatchers.ownersChanged();
    expect(t.followers.size).toBe(0);
    t.control.owned = true;
    t.dispatchers.ownersChanged();
    expect(t.followers.size).toBe(1);
  });
});

test.each([
  ["Text", {}, { format: "Text" }],
  ["Text, where levels do nothing", { systemLogLevel: "WARN" }, { format: "Text" }],
  ["JSON", {}, { format: "JSON", applicationLevel: "INFO", systemLevel: "INFO" }],
  [
    "JSON with levels",
    { applicationLogLevel: "TRACE", systemLogLevel: "WARN" },
    { format: "JSON", applicationLevel: "TRACE", systemLevel: "WARN" },
  ],
])("an assignment says how to log: %s", async (_, levels, expected) => {
  const t = setup();
  t.put("f", { over: { loggingConfig: { logFormat: expected.format, logGroup: "/group", ...levels } } });
  t.invoke("a");
  await t.pass(0);
  const assign = (await t.connect(0)).last(FrameType.assign)?.header;
  expect(assign).toMatchObject({ logging: { ...expected, group: "/group", stream: expect.any(String) } });
  expect(Object.keys((assign as Assignment).logging)).toHaveLength(Object.keys(expected).length + 2);
});

describe("environments go", () => {
  test("after their keep-alive", async () => {
    const t = setup();
    t.put();
    t.invoke("a");
    await t.pass(0);
    const agent = await t.connect(0);
    agent.assigned();
    agent.answer();
    await t.pass(599_000);
    expect(agent.last(FrameType.shutdown)).toBeUndefined();
    await t.pass(1_500);
    expect(agent.last(FrameType.shutdown)?.header).toEqual({ reason: "idle" });
    expect(t.removed).toEqual([{ podName: "f-0", grace: undefined }]);
  });

  test("when the function has another revision: idle ones at once, busy ones after their event", async () => {
    const t = setup();
    t.put();
    const first = t.invoke("a");
    t.invoke("b");
    await t.pass(0);
    const [busy, idle] = [await t.connect(0), await t.connect(1)];
    busy.assigned();
    idle.assigned();
    idle.answer();
    t.put("f", { revision: "2" });
    expect(idle.last(FrameType.shutdown)?.header).toEqual({ reason: "replaced" });
    expect(busy.last(FrameType.shutdown)).toBeUndefined();
    t.invoke("c");
    busy.answer();
    expect(first.outcome()?.type).toBe("result");
    expect(busy.last(FrameType.shutdown)?.header).toEqual({ reason: "replaced" });
    await t.pass(0);
    expect(t.created[2]?.identity.assignmentId).toBe(assignedTo("2"));
    const fresh = await t.connect(2);
    fresh.assigned();
    expect(fresh.running).toBe("c");
  });
});

describe("environments grow old", () => {
  const HOUR = 3_600_000;
  /** An idle environment that is an hour old, as `watch` shows it. */
  async function idle(over: Partial<FunctionEffective> = {}) {
    const podUid = "80000000-0000-4000-8000-000000000000";
    const aged = { namespace: "team", podName: "f-aged", podUid, assignmentId: assignedTo("1", over) };
    const t = setup({ keepAliveMs: 24 * HOUR });
    t.put("f", { over });
    t.watch(aged);
    const agent = await t.connectPod(aged, "assigned");
    return { ...t, agent };
  }

  test("and are replaced between their tenth and eleventh hour, by their UID, before their credentials expire", async () => {
    const { agent, pass } = await idle();
    await pass(9.5 * HOUR - 1_000);
    expect(agent.last(FrameType.shutdown)).toBeUndefined();
    await pass(2_000);
    expect(agent.last(FrameType.shutdown)?.header).toEqual({ reason: "replaced" });
  });

  test("but end their event first, and take no other even when one waits", async () => {
    const { agent, pass, invoke, created } = await idle({ timeout: 900 });
    await pass(9.5 * HOUR - 1_000);
    const running = invoke("a");
    await pass(2_000);
    invoke("b");
    expect(agent.last(FrameType.shutdown)).toBeUndefined();
    agent.answer();
    expect([running.outcome()?.type, agent.running]).toEqual(["result", "a"]);
    expect(agent.last(FrameType.shutdown)?.header).toEqual({ reason: "replaced" });
    await pass(0);
    expect(created).toHaveLength(1);
  });
});

describe("a gateway that starts", () => {
  const found: MadePod = { namespace: "team", podName: "f-found", podUid: "uid-found", assignmentId: assignedTo() };

  test("gives a pod that it finds a moment to connect before it makes another", async () => {
    const t = setup();
    t.put();
    t.watch(found);
    t.invoke("a");
    await t.pass(1_000);
    expect(t.created).toHaveLength(0);
    const agent = await t.connectPod(found, "assigned");
    expect(agent.running).toBe("a");
  });

  test("does not wait for it longer than that, and removes it when it never connects", async () => {
    const t = setup();
    t.put();
    t.watch(found);
    t.invoke("a");
    await t.pass(2_500);
    expect(t.created).toHaveLength(1);
    await t.pass(20_000);
    expect(t.removed.map(({ podName }) => podName)).toContain("f-found");
  });

  test("retires pods of a former revision", async () => {
    const t = setup();
    t.put("f", { revision: "2" });
    t.watch(found);
    expect(t.removed.map(({ podName }) => podName)).toEqual(["f-found"]);
  });

  test("knows a pod before its function", async () => {
    const t = setup();
    t.watch(found);
    const agent = await t.connectPod(found, "unassigned");
    expect(agent.last(FrameType.assign)).toBeUndefined();
    t.put();
    expect(agent.last(FrameType.assign)?.header).toMatchObject({ assignmentId: found.assignmentId, functionName: "f" });
  });

  test("leaves pods alone that another gateway owns", async () => {
    const t = setup({ owned: false });
    t.put("f", { revision: "2" });
    t.watch(found);
    await t.pass(60_000);
    expect(t.removed).toEqual([]);
  });
});

describe("an agent is refused", () => {
  const found: MadePod = { namespace: "team", podName: "f-found", podUid: "uid-found", assignmentId: assignedTo() };

  test("when its pod is not there, after a moment for the watch", async () => {
    const t = setup();
    const refused = t.connectPod(found, "unassigned");
    await t.pass(5_000);
    expect((await refused).closed).toBe(CloseCode.unauthorized);
    const late = t.connectPod(found, "unassigned");
    await t.pass(1_000);
    t.watch(found);
    expect((await late).closed).toBeUndefined();
  });

  test("when its pod has another UID, another assignment, or a connection", async () => {
    const t = setup();
    t.put();
    t.watch(found);
    const other = t.connectPod({ ...found, podUid: "uid-other" }, "unassigned");
    await t.pass(5_000);
    expect((await other).closed).toBe(CloseCode.unauthorized);
    expect((await t.connectPod(found, "assigned", { assignmentId: "uid-of-g/$LATEST/1" })).closed).toBe(CloseCode.unauthorized);
    expect((await t.connectPod(found, "assigned")).closed).toBeUndefined();
    expect((await t.connectPod(found, "assigned")).closed).toBe(CloseCode.duplicate);
  });
});

test.each(["before", "after"])("a pod of another namespace never serves a function, shown %s it", async (order) => {
  const t = setup();
  if (order === "before") t.put();
  const identity = { namespace: "other", podName: "trojan", podUid: "uid-trojan", assignmentId: assignedTo() };
  t.watch(identity);
  t.put();
  const agents = [await t.connectPod(identity, "assigned"), await t.connectPod({ ...identity }, "unassigned")];
  t.invoke("a");
  await t.pass(1_000);
  expect(agents.flatMap((agent) => agent.sent)).toEqual([]);
  expect(t.environments.packageOf(identity)).toBeUndefined();
  expect(t.created).toHaveLength(1);
});
