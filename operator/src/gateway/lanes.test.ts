import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FrameType } from "../api/environment-protocol.ts";
import type { Outcome } from "./invocation.ts";
import { type Agent, setup } from "./testing/dispatch-harness.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Setup = ReturnType<typeof setup>;

function reasonOf(outcome: Outcome | undefined): unknown {
  if (outcome?.type !== "refused") throw new Error(`ended with ${outcome?.type}`);
  return outcome.error.details.Reason ?? outcome.error.message;
}

/** The agent of the pod that was made last, assigned. */
async function latest(t: Setup): Promise<Agent> {
  await t.pass(0);
  const agent = await t.connect(t.created.length - 1);
  agent.assigned();
  return agent;
}

const assignedVersion = (agent: Agent) => {
  const assign = agent.last(FrameType.assign);
  return assign?.type === FrameType.assign ? assign.header.version : undefined;
};

describe("each version", () => {
  test("has environments of its own, which serve no other one", async () => {
    const t = setup();
    t.put();
    t.putVersion(1);
    t.invoke("a");
    const ofLatest = await latest(t);
    ofLatest.answer();
    t.invoke("b", "f", { version: "1" });
    const ofOne = await latest(t);
    expect([assignedVersion(ofLatest), assignedVersion(ofOne)]).toEqual(["$LATEST", "1"]);
    expect([ofLatest.running, ofOne.running, t.created.length]).toEqual(["a", "b", 2]);
    ofOne.answer();
    t.invoke("c", "f", { version: "1" });
    t.invoke("d");
    expect([ofLatest.running, ofOne.running, t.created.length]).toEqual(["d", "c", 2]);
  });

  test("that there is not, or that cannot be run, is refused", () => {
    const t = setup();
    t.put();
    expect(reasonOf(t.invoke("a", "f", { version: "7" }).outcome())).toBe(
      "Function not found: arn:aws:lambda:us-east-1:111111111111:function:f:7",
    );
  });

  test("stays as it is when $LATEST is updated", async () => {
    const t = setup();
    t.put();
    t.putVersion(1);
    t.invoke("a", "f", { version: "1" });
    const agent = await latest(t);
    agent.answer();
    t.put("f", { revision: "2" });
    expect(agent.last(FrameType.shutdown)).toBeUndefined();
  });
});

describe("the reserved concurrency", () => {
  test("is one for all versions", async () => {
    const t = setup();
    t.put("f", { spec: { reservedConcurrentExecutions: 2 } });
    t.putVersion(1);
    const calls = [t.invoke("a"), t.invoke("b", "f", { version: "1" }), t.invoke("c"), t.invoke("d", "f", { version: "1" })];
    await t.pass(1_000);
    expect(t.created).toHaveLength(2);
    expect(calls.slice(2).map(({ outcome }) => reasonOf(outcome()))).toEqual(
      Array(2).fill("ReservedFunctionConcurrentInvocationLimitExceeded"),
    );
  });

  test("bounds the environments, too: one that idles for another version makes place", async () => {
    const t = setup();
    t.put("f", { spec: { reservedConcurrentExecutions: 1 } });
    t.putVersion(1);
    t.invoke("a");
    const agent = await latest(t);
    agent.answer();
    t.invoke("b", "f", { version: "1" });
    expect(agent.last(FrameType.shutdown)?.header).toEqual({ reason: "idle" });
    expect((await latest(t)).running).toBe("b");
  });

  test("changes without any environment being replaced", async () => {
    const t = setup();
    t.put("f", { spec: { reservedConcurrentExecutions: 5 } });
    t.invoke("a");
    const agent = await latest(t);
    t.put("f", {
      revision: "1",
      spec: { reservedConcurrentExecutions: 1 },
      over: { revisionId: "another", reservedConcurrentExecutions: 1 },
    });
    expect(reasonOf(t.invoke("b").outcome())).toBe("ReservedFunctionConcurrentInvocationLimitExceeded");
    agent.answer();
    t.invoke("c");
    expect([agent.running, agent.last(FrameType.shutdown), t.created.length]).toEqual(["c", undefined, 1]);
  });

  test("that falls below what waits ends the waiting of who came last", async () => {
    const t = setup();
    t.put("f", { spec: { reservedConcurrentExecutions: 3 } });
    const calls = ["a", "b", "c"].map((id) => t.invoke(id));
    t.put("f", { spec: { reservedConcurrentExecutions: 1 } });
    expect(calls.map(({ outcome }) => outcome()?.type)).toEqual([undefined, "refused", "refused"]);
  });
});

describe("an update", () => {
  test("reaches events that wait: they are run by the new revision, and nothing of the old one serves again", async () => {
    const t = setup();
    t.put();
    t.invoke("a");
    await t.pass(0);
    t.put("f", { revision: "2" });
    const old = await t.connect(0);
    old.assigned();
    await t.pass(0);
    expect([old.running, old.last(FrameType.assign)]).toEqual([undefined, undefined]);
    expect((await latest(t)).running).toBe("a");
  });
});

describe("an alias that moves", () => {
  const versions = () => {
    const t = setup();
    t.put();
    for (const version of [1, 2, 3]) t.putVersion(version);
    t.putAlias("live", "1");
    return t;
  };

  test("takes with it who waits for its former version, and nobody who named that by number", async () => {
    const t = versions();
    for (const id of ["a", "b"]) t.invoke(id, "f", { version: "1", qualifier: "live" });
    t.invoke("c", "f", { version: "1", qualifier: "1" });
    await t.pass(0);
    t.putAlias("live", "2");
    await t.pass(0);
    const agents = await Promise.all(t.created.map((_, i) => t.connect(i)));
    for (const agent of agents) agent.assigned();
    const ran = agents.map((agent) => [agent.running, assignedVersion(agent)]).filter(([running]) => running !== undefined);
    expect(ran.sort()).toEqual([
      ["a", "2"],
      ["b", "2"],
      ["c", "1"],
    ]);
  });

  test("leaves who waits for a version that it still leads to", async () => {
    const t = versions();
    t.invoke("a", "f", { version: "1", qualifier: "live" });
    await t.pass(0);
    t.putAlias("live", "2", { "1": "0.1" });
    const agent = await latest(t);
    expect([agent.running, assignedVersion(agent), t.created.length]).toEqual(["a", "1", 1]);
  });

  test("chooses by weight anew for who waited for a version that it has left", async () => {
    const t = versions();
    t.control.chance = 0.05;
    t.invoke("a", "f", { version: "1", qualifier: "live" });
    await t.pass(0);
    t.putAlias("live", "2", { "3": "0.1" });
    const agent = await latest(t);
    expect([agent.running, assignedVersion(agent)]).toEqual(["a", "3"]);
  });
});

describe("an alias that moves while another gateway is asked for an event's concurrency", () => {
  const asking = (alias: string) => {
    const lent = Promise.withResolvers<() => void>();
    const t = setup({ concurrency: { acquire: () => lent.promise, charge() {}, update() {} } });
    t.put();
    for (const version of [1, 2, 3]) t.putVersion(version);
    t.putAlias("live", alias);
    return { t, lend: () => lent.resolve(() => {}) };
  };

  test("takes that with it, but not who named the former version by number", async () => {
    const { t, lend } = asking("1");
    t.invoke("a", "f", { version: "1", qualifier: "live" });
    t.invoke("b", "f", { version: "1", qualifier: "1" });
    t.putAlias("live", "2");
    lend();
    await t.pass(0);
    const agents = await Promise.all(t.created.map((_, i) => t.connect(i)));
    for (const agent of agents) agent.assigned();
    expect(agents.map((agent) => [agent.running, assignedVersion(agent)])).toEqual([
      ["a", "2"],
      ["b", "1"],
    ]);
  });

  test("leaves an event where the gateway had it that it came from, and that knew of a change before this one", async () => {
    const { t, lend } = asking("1");
    t.invoke("a", "f", { version: "2", qualifier: "live" });
    // Something else of the function changes.
    t.putVersion(4);
    lend();
    const agent = await latest(t);
    expect([agent.running, assignedVersion(agent)]).toEqual(["a", "2"]);
  });
});

describe("a new version", () => {
  test("of a function whose events are short gets no environment for each of those who wait", async () => {
    const t = setup();
    t.put();
    t.putVersion(1);
    t.invoke("first");
    const agent = await latest(t);
    agent.answer();
    for (let i = 0; i < 20; i++) t.invoke(`${i}`, "f", { version: "1" });
    await t.pass(0);
    expect(t.created.length).toBe(2);
  });
});

describe("new environments come no quicker than Lambda's", () => {
  test("a thousand at once, and the next callers are throttled until a tenth of a second has passed for each", async () => {
    const t = setup({ accountConcurrency: 3_000 });
    t.put();
    const calls = Array.from({ length: 1_005 }, (_, i) => t.invoke(`${i}`));
    await t.pass(0);
    for (let i = 0; i < 60; i++) await t.pass(0);
    const refused = calls.filter(({ outcome }) => outcome() !== undefined);
    expect(refused).toHaveLength(5);
    expect(reasonOf(refused[0]?.outcome())).toBe("ConcurrentInvocationLimitExceeded");
    await t.pass(1_000);
    expect(t.invoke("later").outcome()).toBeUndefined();
  });
});
