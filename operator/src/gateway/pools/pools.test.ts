import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { CloseCode, type Frame, FrameType, type Hello } from "../../api/environment-protocol.ts";
import type { Function as FunctionObject } from "../../api/types.generated.ts";
import { systemClock } from "../../kube/clock.ts";
import { poolPodName } from "../../resources/names.ts";
import { createGatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import { createLogger } from "../../telemetry/log.ts";
import type { AgentListener } from "../agent-server.ts";
import type { Dispatcher } from "../dispatcher.ts";
import type { Environment, EnvironmentHost, EnvironmentIdentity } from "../environment.ts";
import { Environments } from "../environments.ts";
import { FunctionRegistry } from "../function-registry.ts";
import type { Pod } from "../pod.ts";
import { SuspectNodes } from "../suspect-nodes.ts";
import { Tickets } from "../tickets.ts";
import { Keeper } from "./keeper.ts";
import { PoolUses } from "./pool-uses.ts";
import { type PoolSettings, Pools } from "./pools.ts";

const NOW = Date.parse("2026-01-01T00:00:30Z");
beforeEach(() => void vi.useFakeTimers({ now: NOW }));
afterEach(() => void vi.useRealTimers());

const SETTINGS: PoolSettings = {
  size: { memoryMb: 1769, requestedMb: 128 },
  floor: 1,
  ceiling: 5,
  accountCeiling: 10,
  starting: 2,
  usedMs: 3_600_000,
};

/** An agent, played. */
class Agent {
  readonly sent: Frame[] = [];
  closed: number | undefined;
  listener: AgentListener | undefined;

  frame<T extends Frame["type"]>(type: T): Extract<Frame, { type: T }>["header"] | undefined {
    return this.sent.findLast((frame): frame is Extract<Frame, { type: T }> => frame.type === type)?.header as never;
  }

  say(frame: Frame): void {
    this.listener?.frame({ ...frame, body: new Uint8Array() } as never);
  }
}

function setup({ settings = {} as Partial<PoolSettings>, keeps = true } = {}) {
  const log = createLogger({ component: "gateway", level: "silent" });
  const registry = new FunctionRegistry();
  const suspects = new SuspectNodes(systemClock);
  const metrics = createGatewayMetrics();
  const tickets = new Tickets("secret");
  const created: EnvironmentIdentity[] = [];
  const removed: string[] = [];
  const resized: { pod: string; refuse: (why: string) => void }[] = [];
  const control = { keeps, createError: undefined as Error | undefined, hash: "now", lives: new Set(["self"]), watched: true };
  const uses = new PoolUses(registry, systemClock, { memoryMb: 1769, ephemeralStorageMb: 512 });
  const environments: Environments = new Environments({
    clock: systemClock,
    log,
    registry,
    suspects,
    pods: { remove: ({ podName }) => void removed.push(podName) },
    startTimeoutMs: 20_000,
    followRole: () => () => {},
    dispatcherOf: () => dispatcher,
    packageBytes: () => undefined,
    tickets,
    gateways: {
      epoch: 5,
      ownerOf: () => "self",
      owns: () => control.keeps,
      membersFor: () => [{ name: "self", address: "s:1" }],
      heard() {},
    },
    keeper: new Keeper({
      registry,
      pools: () => pools,
      log,
      writer: {
        assigned: async ({ podName }, _fn, _runnable, refuse) => void resized.push({ pod: podName, refuse }),
        initialized: async () => {},
      },
    }),
  });
  let made = 0;
  const pools: Pools = new Pools({
    settings: { ...SETTINGS, ...settings },
    uses,
    registry,
    environments,
    pods: {
      poolHash: () => control.hash,
      createPooled: async ({ pool, suffix }) => {
        if (control.createError) throw control.createError;
        const podName = poolPodName(pool.runtime, suffix);
        const identity = { namespace: pool.namespace, podName, podUid: `uid-${podName}` };
        created.push(identity);
        return identity;
      },
    },
    suspects,
    metrics: metrics.pools,
    clock: systemClock,
    random: { uuid: () => "", hex: () => `${made++}`, chance: () => 0 },
    log,
    self: "self",
    keeps: () => control.keeps && control.watched,
    lives: (gateway) => control.lives.has(gateway),
    addressesFor: () => ["s:1"],
  });
  pools.start();

  const put = (name = "f", over: object = {}, at = "2026-01-01T00:00:00Z") =>
    registry.put({
      apiVersion: "kappa.dev/v1alpha1",
      kind: "Function",
      metadata: { name, namespace: "team", uid: `uid-${name}`, creationTimestamp: at },
      spec: {},
      status: {
        state: "Active",
        effective: {
          revisionId: "1",
          runtime: "python3.11",
          memorySize: 128,
          timeout: 3,
          ephemeralStorageMb: 512,
          architectures: ["x86_64"],
          ...over,
        },
      },
    } as unknown as FunctionObject);

  async function connect(identity: EnvironmentIdentity, over: Partial<Hello> = {}): Promise<Agent> {
    const agent = new Agent();
    const { namespace, podName } = identity;
    const hello: Hello = { protocol: 4, token: "", podName, namespace, runtime: "python3.11", state: "unassigned", ...over };
    const admission = await environments.admit(identity, hello);
    if ("refused" in admission) agent.closed = admission.refused;
    else
      agent.listener = admission.take({
        send: (frame) => void agent.sent.push(frame),
        close: (code) => {
          agent.closed = code;
        },
      });
    return agent;
  }
  /** Connects the agents of all pods that were created and have none. */
  const connected = new Map<string, Agent>();
  async function connectAll(): Promise<void> {
    for (const identity of created) if (!connected.has(identity.podName)) connected.set(identity.podName, await connect(identity));
  }

  /** What a dispatcher would hear. */
  const heard: string[] = [];
  const dispatcher = {
    owned: false,
    add: (environment: Environment) => void heard.push(`add ${environment.identity.podName}`),
    startFailed: (environment: Environment, { why }: { why: string }) => void heard.push(`${why} ${environment.identity.podName}`),
    left: (environment: Environment) => void heard.push(`left ${environment.identity.podName}`),
    assignment: (environment: Environment) => ({
      assignmentId: environment.assignmentId,
      code: { sha256: "", size: 1 },
      pass: tickets.pass(environment.identity.podUid, environment.assignmentId ?? ""),
    }),
    moved() {},
    offered() {},
    withdrawn() {},
    started() {},
    epochAnswered() {},
    obstructed() {},
  } as unknown as Dispatcher & EnvironmentHost;

  function take(name = "f"): Environment | undefined {
    const entry = registry.find("team", name);
    if (!entry?.runnable) throw new Error("no such function");
    const environment = pools.take(entry, entry.runnable);
    environment?.become(dispatcher, entry.runnable, 0);
    return environment;
  }

  /** A pod was made for the function. */
  function missed(name = "f"): void {
    const entry = registry.find("team", name);
    if (!entry?.runnable) throw new Error("no such function");
    pools.missed(entry, entry.runnable);
  }

  /** Pods that had to be made, by the reason. */
  async function misses(): Promise<Record<string, number>> {
    const { values = [] } = (await metrics.registry.getSingleMetric("kappa_pool_misses_total")?.get()) ?? {};
    return Object.fromEntries(values.map(({ labels, value }) => [labels.reason, value]));
  }

  /** Shows a pooled pod as the watch does. */
  function watch(
    identity: EnvironmentIdentity,
    over: { hash?: string; madeBy?: string; unschedulable?: boolean; resize?: string; assignment?: string } = {},
  ): void {
    const conditions = [
      ...(over.unschedulable ? [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message: "no room" }] : []),
      ...(over.resize === undefined ? [] : [{ type: "PodResizePending", status: "True", reason: over.resize, message: "too much" }]),
    ];
    environments.putPod({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: identity.podName,
        namespace: identity.namespace,
        uid: identity.podUid,
        creationTimestamp: new Date(Date.now()).toISOString(),
        labels: { "kappa.dev/pool": over.hash ?? "now" },
        annotations: {
          "kappa.dev/pool": "python3.11/public/x86_64/0",
          "kappa.dev/made-by": over.madeBy ?? "self",
          ...(over.assignment === undefined ? {} : { "kappa.dev/assignment": over.assignment }),
        },
      },
      status: { phase: "Pending", conditions },
    } as Pod);
  }

  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  return {
    pools,
    environments,
    tickets,
    created,
    removed,
    resized,
    control,
    registry,
    suspects,
    put,
    connect,
    connectAll,
    connected,
    take,
    missed,
    misses,
    watch,
    heard,
    pass,
  };
}

const found = (name: string): EnvironmentIdentity => ({ namespace: "team", podName: name, podUid: `uid-${name}` });

describe("a pool is filled", () => {
  test("up to its floor for a function that was just deployed, and no further", async () => {
    const t = setup();
    t.put();
    await t.pass(1_100);
    expect(t.created).toHaveLength(1);
    await t.connectAll();
    await t.pass(60_000);
    expect(t.created).toHaveLength(1);
  });

  test("not for a function that nobody has invoked or changed for long", async () => {
    const t = setup();
    t.put("f", {}, "2025-12-01T00:00:00Z");
    await t.pass(10_000);
    expect(t.created).toHaveLength(0);
  });

  test("again as soon as one was taken, and further when more were wanted at once", async () => {
    const t = setup();
    t.put();
    await t.pass(1_100);
    await t.connectAll();
    expect(t.take()).toBeDefined();
    await t.pass(60);
    expect(t.created).toHaveLength(2);
    for (let i = 0; i < 2; i++) {
      expect(t.take()).toBeUndefined();
      t.missed();
    }
    await t.connectAll();
    await t.pass(1_100);
    await t.connectAll();
    await t.pass(1_100);
    // Three were wanted within seconds; one of them has become the function.
    expect([t.created.length, await t.misses()]).toEqual([4, { empty: 2 }]);
  });

  test("no further for a caller who finds nothing in it, however often it is looked for, until a pod is made for it", async () => {
    const t = setup();
    t.put();
    await t.pass(1_100);
    for (let i = 0; i < 100; i++) expect(t.take()).toBeUndefined();
    await t.connectAll();
    await t.pass(5_000);
    expect([t.created.length, await t.misses()]).toEqual([1, {}]);
    t.missed();
    t.missed();
    await t.pass(60);
    expect([t.created.length, await t.misses()]).toEqual([2, { empty: 2 }]);
  });

  test("not for pods of functions that take nothing from it", async () => {
    const t = setup();
    t.put();
    t.put("large", { memorySize: 4096 });
    t.pools.refuse("uid-f");
    await t.pass(1_100);
    await t.connectAll();
    for (const name of ["f", "f", "large"]) t.missed(name);
    await t.pass(5_000);
    expect([t.created.length, await t.misses()]).toEqual([1, { refused: 2, unfit: 1 }]);
  });

  test("two at a time, however many are missing", async () => {
    const t = setup({ settings: { floor: 5 } });
    t.put();
    await t.pass(2_500);
    expect(t.created).toHaveLength(2);
    await t.connectAll();
    await t.pass(1_100);
    expect(t.created).toHaveLength(4);
  });

  test("by the account's own gateway only, once that knows what is there", async () => {
    const t = setup({ keeps: false });
    t.put();
    await t.pass(5_000);
    expect(t.created).toHaveLength(0);
    [t.control.keeps, t.control.watched] = [true, false];
    await t.pass(5_000);
    expect(t.created).toHaveLength(0);
    t.watch(found("pool-found"));
    t.control.watched = true;
    await t.pass(5_000);
    expect(t.created).toHaveLength(0);
  });

  test("no further by a gateway that finds more than it would make, nor are those given up for ten minutes", async () => {
    const t = setup();
    t.put();
    const pods = ["a", "b", "c"].map((name) => found(`pool-${name}`));
    for (const pod of pods) {
      t.watch(pod);
      await t.connect(pod, { ticket: t.tickets.ticket(pod.podUid) });
    }
    // Somebody changes it now and then.
    for (let minutes = 0; minutes < 9; minutes++) {
      await t.pass(60_000);
      t.put("f", { handler: `app.handler${minutes}` });
    }
    expect([t.created.length, t.removed.length]).toEqual([0, 0]);
    await t.pass(65_000);
    expect(t.removed).toHaveLength(2);
  });

  test("later, when its pods cannot be made", async () => {
    const t = setup();
    t.control.createError = new Error("exceeded quota");
    t.put();
    await t.pass(10_000);
    t.control.createError = undefined;
    await t.pass(5_000);
    expect(t.created).toHaveLength(0);
    await t.pass(5_000);
    expect(t.created).toHaveLength(1);
  });

  test("later, when its pods find no room: they are given up", async () => {
    const t = setup();
    t.put();
    await t.pass(1_100);
    const [pod = found("none")] = t.created;
    t.watch(pod, { unschedulable: true });
    await t.pass(1_100);
    expect(t.removed).toEqual([pod.podName]);
    await t.pass(10_000);
    expect(t.created).toHaveLength(1);
    await t.pass(10_000);
    expect(t.created).toHaveLength(2);
  });

  test("later, when one was given up for a function that needs its room", async () => {
    const t = setup();
    t.put();
    await t.pass(1_100);
    await t.connectAll();
    expect(t.pools.giveUpOne("other")).toBe(false);
    expect(t.pools.giveUpOne("team")).toBe(true);
    expect(t.pools.giveUpOne("team")).toBe(false);
    expect(t.removed).toHaveLength(1);
    await t.pass(25_000);
    expect(t.created).toHaveLength(1);
    await t.pass(10_000);
    expect(t.created).toHaveLength(2);
  });

  test("anew when its image or settings have changed", async () => {
    const t = setup();
    t.put();
    t.watch(found("pool-old"), { hash: "before" });
    await t.pass(1_100);
    expect(t.removed).toEqual(["pool-old"]);
    expect(t.created).toHaveLength(1);
  });

  test("anew when the gateway that made a pod is gone before its agent knew another one", async () => {
    const t = setup();
    t.put();
    t.watch(found("pool-orphan"), { madeBy: "gone" });
    await t.pass(4_000);
    expect(t.removed).toEqual([]);
    await t.pass(2_500);
    expect(t.removed).toEqual(["pool-orphan"]);
    expect(t.created).toHaveLength(1);
  });

  test("no longer when the last function that fits is gone", async () => {
    const t = setup();
    t.put();
    await t.pass(1_100);
    await t.connectAll();
    t.registry.remove({ metadata: { name: "f", namespace: "team", uid: "uid-f" } } as FunctionObject);
    await t.pass(1_100);
    expect(t.removed).toEqual(t.created.map(({ podName }) => podName));
  });
});

describe("an environment is taken", () => {
  async function filled(over: object = {}) {
    const t = setup(over);
    t.put();
    await t.pass(1_100);
    await t.connectAll();
    const [identity = found("none")] = t.created;
    return { ...t, identity, agent: t.connected.get(identity.podName) as Agent };
  }

  test("once, and is assigned over its connection at once", async () => {
    const t = await filled();
    expect(t.agent.frame(FrameType.assign)).toBeUndefined();
    expect(t.take()?.phase).toBe("assigning");
    expect(t.take()).toBeUndefined();
    expect(t.agent.frame(FrameType.assign)).toMatchObject({ assignmentId: expect.stringContaining("uid-f/$LATEST/") });
  });

  test("the warm one first", async () => {
    const t = setup({ settings: { floor: 2 } });
    t.put();
    await t.pass(1_100);
    const [first = found("none"), second = found("none")] = t.created;
    await t.connect(first, { state: "warming" });
    await t.connect(second, { state: "unassigned" });
    expect([t.take(), t.take()].map((e) => e?.identity.podName)).toEqual([second.podName, first.podName]);
  });

  test.each<[string, (t: Awaited<ReturnType<typeof filled>>) => void]>([
    ["a function that needs more memory", (t) => t.put("f", { memorySize: 4096 })],
    ["a function of another runtime", (t) => t.put("f", { runtime: "java17" })],
  ])("not by %s", async (_, change) => {
    const t = await filled();
    change(t);
    expect(t.take()).toBeUndefined();
  });

  test("not of those that an installation with another image has made", async () => {
    const t = setup();
    t.put();
    t.watch(found("pool-old"), { hash: "before" });
    await t.connect(found("pool-old"), { ticket: t.tickets.ticket("uid-pool-old") });
    expect(t.take()).toBeUndefined();
  });

  test("and tells its pod what it has become, when its agent says that it has", async () => {
    const t = await filled();
    const environment = t.take();
    expect(t.resized).toEqual([]);
    const header = { assignmentId: environment?.assignmentId ?? "", initDurationMs: 5 };
    t.agent.say({ type: FrameType.assigned, header });
    expect(t.resized.map(({ pod }) => pod)).toEqual([t.identity.podName]);
    // However often it says so: each would be two writes to the API server.
    for (let i = 0; i < 3; i++) t.agent.say({ type: FrameType.assigned, header });
    expect(t.resized).toHaveLength(1);
  });

  test.each<[string, (t: Awaited<ReturnType<typeof filled>>) => void]>([
    ["API server", (t) => t.resized[0]?.refuse("exceeded quota")],
    ["node", (t) => t.watch(t.identity, { resize: "Deferred" })],
  ])("and retired when the %s refuses the function's size, which takes none for ten minutes", async (_, refuse) => {
    const t = await filled();
    const environment = t.take();
    t.agent.say({ type: FrameType.assigned, header: { assignmentId: environment?.assignmentId ?? "", initDurationMs: 5 } });
    refuse(t);
    expect(t.agent.frame(FrameType.shutdown)).toEqual({ reason: "replaced" });
    await t.pass(1_100);
    await t.connectAll();
    expect(t.take()).toBeUndefined();
    t.put("g");
    expect(t.take("g")).toBeDefined();
    await t.pass(600_000);
    await t.connectAll();
    expect(t.take()).toBeDefined();
  });

  test("by nobody when another gateway was first: the function that tried hears of it, the other one's gets it", async () => {
    const t = await filled();
    t.put("g");
    t.take();
    const assignmentId = "uid-g/$LATEST/1";
    const pass = t.tickets.pass(t.identity.podUid, assignmentId);
    t.agent.say({ type: FrameType.stateChange, header: { state: "busy", epoch: 5, assignmentId, pass } });
    const { podName } = t.identity;
    expect(t.heard).toEqual([`refused ${podName}`, `left ${podName}`, `add ${podName}`]);
    t.agent.say({ type: FrameType.assignmentFailed, header: { assignmentId: "x", kind: "refused", errorType: "", message: "" } });
    expect(t.agent.closed).toBeUndefined();
    const [environment] = [...t.environments.all()];
    expect(environment).toMatchObject({ phase: "foreign", assignmentId });
  });

  test("again only when an agent that refused has said what it is", async () => {
    const t = await filled();
    const { assignmentId = "" } = t.take() ?? {};
    t.agent.say({ type: FrameType.assignmentFailed, header: { assignmentId, kind: "refused", errorType: "", message: "" } });
    expect(t.heard).toEqual([`refused ${t.identity.podName}`, `left ${t.identity.podName}`]);
    expect(t.take()).toBeUndefined();
    t.agent.say({ type: FrameType.stateChange, header: { state: "unassigned", epoch: 6 } });
    expect(t.take()?.identity).toEqual(t.identity);
  });

  test("and known to be another function's by what its pod says", async () => {
    const t = await filled();
    t.watch(t.identity, { assignment: "uid-f/$LATEST/1" });
    expect(t.heard).toEqual([`add ${t.identity.podName}`]);
    expect(t.take()).toBeUndefined();
  });
});

describe("the agent of a pooled pod is trusted", () => {
  test("as the first that dials, once; it is told its ticket, and is known by it everywhere", async () => {
    const t = setup();
    t.put();
    await t.pass(1_100);
    const [identity = found("none")] = t.created;
    const first = await t.connect(identity, { state: "warming" });
    const ticket = first.frame(FrameType.welcome)?.ticket ?? "";
    expect(t.tickets.isTicket(ticket, identity.podUid)).toBe(true);
    first.listener?.disconnected("broken");
    expect((await t.connect(identity)).closed).toBe(CloseCode.unauthorized);
    const again = await t.connect(identity, { ticket });
    expect(again.closed).toBeUndefined();
    expect(again.frame(FrameType.welcome)).not.toHaveProperty("ticket");
  });

  test("not without a ticket at a gateway that did not make its pod", async () => {
    const t = setup();
    t.watch(found("pool-other"), { madeBy: "other" });
    expect((await t.connect(found("pool-other"))).closed).toBe(CloseCode.unauthorized);
  });

  test("not as a function that its pod was never given, nor by another pod's pass", async () => {
    const t = setup();
    t.put();
    t.watch(found("pool-other"), { madeBy: "other" });
    const assignmentId = "uid-f/$LATEST/1";
    const claim = { state: "assigned", assignmentId } as const;
    expect((await t.connect(found("pool-other"), claim)).closed).toBe(CloseCode.unauthorized);
    const stolen = t.tickets.pass("uid-of-another", assignmentId);
    expect((await t.connect(found("pool-other"), { ...claim, pass: stolen })).closed).toBe(CloseCode.unauthorized);
    const own = t.tickets.pass("uid-pool-other", assignmentId);
    expect((await t.connect(found("pool-other"), { ...claim, pass: own })).closed).toBeUndefined();
    expect(t.heard).toEqual(["add pool-other"]);
  });

  test("two that dial at the same moment do not both get the ticket", async () => {
    const t = setup();
    t.put();
    await t.pass(1_100);
    const [identity = found("none")] = t.created;
    const [a, b] = await Promise.all([t.connect(identity), t.connect(identity)]);
    expect([a, b].map((agent) => agent.frame(FrameType.welcome)?.ticket !== undefined)).toEqual([true, false]);
    expect(b?.closed).toBe(CloseCode.duplicate);
  });
});

describe("a new owner of a function", () => {
  test("waits for pooled agents that a former one may have assigned, not for those that nobody else can know", async () => {
    const t = setup();
    t.put();
    const entry = t.registry.find("team", "f");
    if (!entry) throw new Error("no such function");
    expect(t.pools.settled(entry, 7)).toBe(true);
    await t.pass(1_100);
    const [identity = found("none")] = t.created;
    expect(t.pools.settled(entry, 7)).toBe(true);
    const agent = await t.connect(identity);
    expect(t.pools.settled(entry, 7)).toBe(false);
    agent.say({ type: FrameType.stateChange, header: { state: "unassigned", epoch: 7 } });
    expect(t.pools.settled(entry, 7)).toBe(true);
  });
});
