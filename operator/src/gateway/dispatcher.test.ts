import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CloseCode, type Frame, FrameType, type Hello, type Result, type RoleToken } from "../api/environment-protocol.ts";
import type { Function as FunctionObject } from "../api/types.generated.ts";
import type { KappaError } from "../domain/errors.ts";
import { systemClock } from "../kube/clock.ts";
import { KubeError } from "../kube/errors.ts";
import { Annotation } from "../resources/labels.ts";
import { createGatewayMetrics } from "../telemetry/gateway-metrics.ts";
import { createLogger } from "../telemetry/log.ts";
import { AccountConcurrency } from "./account-concurrency.ts";
import type { AgentListener, ReceivedFrame } from "./agent-server.ts";
import { Dispatchers } from "./dispatchers.ts";
import type { EnvironmentIdentity } from "./environment.ts";
import { Environments } from "./environments.ts";
import { FunctionRegistry } from "./function-registry.ts";
import type { Invocation, Outcome } from "./invocation.ts";
import type { Pod } from "./pod.ts";
import { SuspectNodes } from "./suspect-nodes.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** An agent that does what the gateway says, when the test says so. */
class Agent {
  readonly sent: Frame[] = [];
  closed: number | undefined;
  listener: AgentListener | undefined;

  last(type: number): Frame | undefined {
    return this.sent.findLast((frame) => frame.type === type);
  }

  say(frame: Frame): void {
    this.listener?.frame({ body: Buffer.alloc(0), ...frame } as ReceivedFrame);
  }

  assigned(): void {
    const assign = this.last(FrameType.assign);
    if (assign?.type === FrameType.assign)
      this.say({ type: FrameType.assigned, header: { assignmentId: assign.header.assignmentId, initDurationMs: 5 } });
  }

  get running(): string | undefined {
    const invoke = this.last(FrameType.invoke);
    return invoke?.type === FrameType.invoke ? invoke.header.requestId : undefined;
  }

  answer(over: Partial<Result> = {}): void {
    const header = { requestId: this.running ?? "", durationMs: 1, billedMs: 1, maxMemoryMb: 10, reusable: true, ...over };
    this.say({ type: FrameType.result, header, body: Buffer.from(`"${header.requestId}"`) });
  }
}

function setup({ owned = true, accountConcurrency = 1000 } = {}) {
  const log = createLogger({ component: "gateway", level: "silent" });
  const registry = new FunctionRegistry();
  const suspects = new SuspectNodes(systemClock);
  const created: { identity: EnvironmentIdentity; avoidNodes: readonly string[] }[] = [];
  const removed: { podName: string; grace: number | undefined }[] = [];
  const agents = new Map<string, Agent>();
  const followers = new Set<{ role: string; tell: (token: RoleToken) => void }>();
  const control = { owned, createError: undefined as Error | undefined };
  const environments: Environments = new Environments({
    clock: systemClock,
    log,
    registry,
    suspects,
    pods: { remove: ({ podName }, grace) => void removed.push({ podName, grace }) },
    startTimeoutMs: 20_000,
    followRole: (namespace, serviceAccount, tell) => {
      const follower = { role: `${namespace}/${serviceAccount}`, tell };
      followers.add(follower);
      tell({ token: `token of ${follower.role}`, namespace, caCertificate: "ca" });
      return () => followers.delete(follower);
    },
    dispatcherOf: (entry) => dispatchers.of(entry),
    membersFor: () => [],
  });
  const dispatchers: Dispatchers = new Dispatchers({
    registry,
    clock: systemClock,
    concurrency: new AccountConcurrency(accountConcurrency),
    isOwner: () => control.owned,
    deps: {
      log,
      metrics: createGatewayMetrics(),
      suspects,
      region: "us-east-1",
      keepAliveMs: 600_000,
      startTimeoutMs: 20_000,
      accountIdOf: () => "111111111111",
      lambdaEndpoint: "http://gateway",
      credentialsFor: ({ podUid }, serviceAccount) => ({
        accessKeyId: `${serviceAccount} in ${podUid}`,
        secretAccessKey: "s",
        sessionToken: "t",
      }),
      adopt: (...made) => environments.adopt(...made),
      pods: {
        async create(entry, runnable, avoidNodes) {
          if (control.createError) throw control.createError;
          const name = `${entry.name}-${created.length}`;
          const identity = { namespace: entry.namespace, podName: name, podUid: `uid-${name}`, assignmentId: runnable.assignmentId };
          created.push({ identity, avoidNodes });
          return identity;
        },
      },
    },
    onTick: (now) => environments.tick(now),
  });
  dispatchers.start();

  function put(name = "f", { revision = "1", over = {}, status = {} }: { revision?: string; over?: object; status?: object } = {}): void {
    const effective = {
      revisionId: revision,
      codeSha256: "",
      codeSize: 1,
      packageSha256: "0".repeat(64),
      runtime: "python3.11",
      handler: "app.handler",
      memorySize: 128,
      timeout: 3,
      environment: {},
      ephemeralStorageMb: 512,
      architectures: ["x86_64"],
      loggingConfig: { logFormat: "Text", logGroup: "/aws/lambda/f" },
      ...over,
    };
    registry.put({
      apiVersion: "kappa.dev/v1alpha1",
      kind: "Function",
      metadata: { name, namespace: "team", uid: `uid-of-${name}`, creationTimestamp: "2026-01-01T00:00:00Z" },
      spec: {},
      status: { state: "Active", effective, ...status },
    } as unknown as FunctionObject);
  }

  const outcomes = new Map<string, Outcome>();
  function invoke(requestId: string, name = "f"): { outcome: () => Outcome | undefined; cancel: () => void } {
    const call = { cancelled: false };
    const invocation: Invocation = {
      requestId,
      invokedArn: "arn",
      payload: Buffer.from("{}"),
      logTail: false,
      streaming: false,
      traceId: "t",
      arrivedAt: performance.now(),
      get cancelled() {
        return call.cancelled;
      },
      waited: false,
      waiting() {},
      started() {},
      chunk() {},
      finish(outcome) {
        if (outcomes.has(requestId)) throw new Error(`${requestId} ended twice`);
        outcomes.set(requestId, outcome);
      },
    };
    const entry = registry.find("team", name);
    if (!entry) throw new Error("no such function");
    dispatchers.submit(entry, invocation);
    return {
      outcome: () => outcomes.get(requestId),
      cancel: () => {
        call.cancelled = true;
      },
    };
  }

  /** Lets an agent connect for a pod that was created. */
  async function connect(index: number, state: Hello["state"] = "unassigned"): Promise<Agent> {
    const made = created[index];
    if (!made) throw new Error(`there is no pod ${index}`);
    return connectPod(made.identity, state);
  }

  async function connectPod(identity: EnvironmentIdentity, state: Hello["state"], over: Partial<Hello> = {}): Promise<Agent> {
    const agent = new Agent();
    const { namespace, podName, podUid } = identity;
    const admission = await environments.admit(
      { namespace, podName, podUid },
      { protocol: 1, token: "", podName, namespace, runtime: "python3.11", state, ...over },
    );
    if ("refused" in admission) {
      agent.closed = admission.refused;
      return agent;
    }
    agent.listener = admission.take({
      send: (frame) => agent.sent.push(frame),
      close: (code) => {
        agent.closed = code;
      },
    });
    agents.set(podName, agent);
    return agent;
  }

  /** Shows a pod as the watch does. */
  function watch(identity: EnvironmentIdentity, over: { nodeName?: string; status?: Pod["status"]; deleted?: boolean } = {}): void {
    const { namespace, podName, podUid, assignmentId } = identity;
    environments.putPod({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: podName,
        namespace,
        uid: podUid,
        annotations: { [Annotation.assignment]: assignmentId },
        creationTimestamp: new Date(Date.now() - 3_600_000).toISOString(),
        ...(over.deleted ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}),
      },
      ...(over.nodeName === undefined ? {} : { spec: { nodeName: over.nodeName } }),
      status: over.status ?? { phase: "Running" },
    });
  }

  const pod = (index: number): EnvironmentIdentity => {
    const identity = created[index]?.identity;
    if (!identity) throw new Error(`there is no pod ${index}`);
    return identity;
  };
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  return { registry, environments, dispatchers, suspects, control, created, removed, put, invoke, connect, connectPod, watch, pod, pass };
}

function errorOf(outcome: Outcome | undefined): KappaError {
  if (outcome?.type !== "refused") throw new Error(`ended with ${outcome?.type}`);
  return outcome.error;
}

describe("environments are started", () => {
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
    await t.pass(2_000);
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
    t.put("f", { over: { reservedConcurrentExecutions: 1 } });
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
    const outcome = call.outcome();
    expect(outcome?.type === "functionError" && JSON.parse(Buffer.from(outcome.body).toString())).toEqual({
      errorType: "Runtime.OutOfMemory",
      errorMessage: "RequestId: a Error: Runtime exited with error: signal: killed",
    });
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
    const t = setup({ accountConcurrency: 3 });
    t.put("f");
    t.put("reserved", { over: { reservedConcurrentExecutions: 2 } });
    for (const id of ["a", "b", "c"]) expect(t.invoke(id).outcome()).toBeUndefined();
    expect(errorOf(t.invoke("d").outcome()).details).toEqual({ Reason: "ConcurrentInvocationLimitExceeded" });
    for (const id of ["e", "g"]) expect(t.invoke(id, "reserved").outcome()).toBeUndefined();
    expect(errorOf(t.invoke("h", "reserved").outcome()).details).toEqual({ Reason: "ReservedFunctionConcurrentInvocationLimitExceeded" });
  });
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
    expect(t.created[2]?.identity.assignmentId).toBe("uid-of-f/$LATEST/2");
    const fresh = await t.connect(2);
    fresh.assigned();
    expect(fresh.running).toBe("c");
  });
});

describe("a gateway that starts", () => {
  const found: EnvironmentIdentity = { namespace: "team", podName: "f-found", podUid: "uid-found", assignmentId: "uid-of-f/$LATEST/1" };

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
  const found: EnvironmentIdentity = { namespace: "team", podName: "f-found", podUid: "uid-found", assignmentId: "uid-of-f/$LATEST/1" };

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
  const identity = { namespace: "other", podName: "trojan", podUid: "uid-trojan", assignmentId: "uid-of-f/$LATEST/1" };
  t.watch(identity);
  t.put();
  const agents = [await t.connectPod(identity, "assigned"), await t.connectPod({ ...identity }, "unassigned")];
  t.invoke("a");
  await t.pass(1_000);
  expect(agents.flatMap((agent) => agent.sent)).toEqual([]);
  expect(t.environments.packageOf(identity)).toBeUndefined();
  expect(t.created).toHaveLength(1);
});
