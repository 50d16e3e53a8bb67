import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type EnvironmentEffect,
  type EnvironmentEvent,
  type EnvironmentLimits,
  type EnvironmentPhase,
  type EnvironmentState,
  newEnvironment,
  nextState,
} from "./environment-state.ts";

const LIMITS: EnvironmentLimits = {
  startMs: 20_000,
  reconnectMs: 10_000,
  assignMs: 60_000,
  postMortemMs: 1_500,
  foreignMs: 18_000,
};

/** Runs events one after the other at time 0; effects are those of the last. */
function outcomeOf(
  events: EnvironmentEvent[],
  { owned = true, pooled = false } = {},
): { state: EnvironmentState; effects: readonly EnvironmentEffect[] } {
  let state = newEnvironment(owned, 20_000, pooled);
  let effects: readonly EnvironmentEffect[] = [];
  for (const event of events) ({ state, effects } = nextState(state, event, 0, LIMITS));
  return { state, effects };
}

const connected: EnvironmentEvent = { type: "connected", state: "unassigned" };
const idle: EnvironmentEvent[] = [connected, { type: "assigned" }];
const busy: EnvironmentEvent[] = [...idle, { type: "sent", requestId: "a", until: 99 }];
const result = (requestId: string, reusable = true): EnvironmentEvent => ({ type: "result", requestId, reusable });
const disconnected: EnvironmentEvent = { type: "disconnected", how: "broken" };
const left: EnvironmentEvent = { type: "disconnected", how: "orderly" };
const retire: EnvironmentEvent = { type: "retire", reason: "replaced" };

describe("what happens next", () => {
  test.each<[string, EnvironmentEvent[], EnvironmentPhase, string[]]>([
    ["a new agent is assigned at once", [connected], "assigning", ["assign"]],
    ["an assigned environment is offered", idle, "idle", ["offer"]],
    ["an agent that comes back with its assignment is offered", [{ type: "connected", state: "assigned" }], "idle", ["offer"]],
    ["an agent that runs somebody else's event is left alone", [{ type: "connected", state: "busy" }], "foreign", []],
    ["an agent that failed is replaced", [{ type: "connected", state: "failed" }], "retiring", ["startFailed", "shutdown", "deletePod"]],
    ["a result frees the environment", [...busy, result("a")], "idle", ["answer", "offer"]],
    [
      "a runtime that cannot go on is replaced after its answer",
      [...busy, result("a", false)],
      "retiring",
      ["answer", "shutdown", "deletePod"],
    ],
    ["a result of another event is never passed on", [...busy, result("b")], "retiring", ["fail", "disconnect", "deletePod"]],
    ["a result without an event ends the connection", [...idle, result("a")], "retiring", ["withdraw", "disconnect", "deletePod"]],
    ["an event that was not taken goes to another environment", [...busy, { type: "busy", requestId: "a" }], "foreign", ["requeue"]],
    ["another gateway's event makes it unavailable", [...idle, { type: "stateChange", state: "busy" }], "foreign", ["withdraw"]],
    [
      "the end of another gateway's event makes it available",
      [...idle, { type: "stateChange", state: "busy" }, { type: "stateChange", state: "assigned" }],
      "idle",
      ["offer"],
    ],
    [
      "news from before our event arrived are ignored",
      [...busy, { type: "stateChange", state: "busy" }, { type: "stateChange", state: "assigned" }],
      "busy",
      [],
    ],
    ["a connection lost while idle may come back", [...idle, disconnected], "starting", ["withdraw"]],
    ["a connection lost during an event waits for the pod's own story", [...busy, disconnected], "lost", []],
    ["an agent that goes in order has not taken what it did not answer", [...busy, left], "retiring", ["requeue", "deletePod"]],
    ["what an agent answered before it goes in order is not run again", [...busy, result("a"), left], "starting", ["withdraw"]],
    [
      "an agent that comes back after a loss and goes in order does not revive the event",
      [...busy, disconnected, connected, left],
      "lost",
      [],
    ],
    [
      "without one, the caller hears of the loss",
      [...busy, disconnected, { type: "timeout" }],
      "retiring",
      ["fail", "disconnect", "deletePod"],
    ],
    [
      "an end by what the function did is reported as such",
      [...busy, disconnected, { type: "podEnded", overuse: true }],
      "gone",
      ["fail", "disconnect"],
    ],
    [
      "an agent that reconnects after a loss does not revive the event",
      [...busy, disconnected, { type: "connected", state: "busy" }],
      "lost",
      [],
    ],
    [
      "no answer long after the time-out ends the environment",
      [...busy, { type: "timeout" }],
      "retiring",
      ["fail", "disconnect", "deletePod"],
    ],
    ["an agent that never connects is given up", [{ type: "timeout" }], "retiring", ["startFailed", "disconnect", "deletePod"]],
    [
      "a failed assignment ends the environment",
      [connected, { type: "assignmentFailed", refused: false }],
      "retiring",
      ["startFailed", "shutdown", "deletePod"],
    ],
    [
      "a pod that ends before it served counts as a failed start",
      [{ type: "podEnded", overuse: false }],
      "gone",
      ["startFailed", "disconnect"],
    ],
    [
      "a pod that is evicted while it starts counts as a failed start, though its agent ends in order",
      [connected, left, { type: "podEnded", overuse: false }],
      "gone",
      ["startFailed", "disconnect"],
    ],
    ["an idle environment is retired in order", [...idle, retire], "retiring", ["withdraw", "shutdown", "deletePod"]],
    ["a busy one is retired after its event", [...busy, retire, result("a")], "retiring", ["answer", "shutdown", "deletePod"]],
    [
      "a pod that somebody deletes finishes its event",
      [...busy, { type: "podTerminating" }, result("a")],
      "retiring",
      ["answer", "shutdown", "deletePod"],
    ],
    ["a retired agent that comes back is told to go", [...idle, retire, disconnected, connected], "retiring", ["shutdown"]],
    [
      "an agent that was busy is tried again when it has not said otherwise",
      [...busy, { type: "busy", requestId: "a" }, { type: "timeout" }],
      "idle",
      ["offer"],
    ],
    [
      "an agent that served and does not come back is no failed start",
      [...idle, disconnected, { type: "timeout" }],
      "retiring",
      ["disconnect", "deletePod"],
    ],
    [
      "what another gateway's assignment failed of is told by the owner",
      [
        { type: "connected", state: "busy" },
        { type: "assignmentFailed", refused: false },
      ],
      "retiring",
      ["startFailed", "shutdown", "deletePod"],
    ],
    [
      "an agent that failed at another gateway's assignment does not take the event that is on its way to it",
      [...busy, { type: "assignmentFailed", refused: false }, { type: "busy", requestId: "a" }],
      "foreign",
      ["requeue"],
    ],
    ["news of a failed initialisation wait for its reason", [connected, { type: "stateChange", state: "failed" }], "assigning", []],
    ["nothing happens to what is gone", [{ type: "podEnded", overuse: false }, connected], "gone", []],
  ])("%s", (_, events, phase, effects) => {
    const outcome = outcomeOf(events);
    expect(outcome.state.phase).toBe(phase);
    expect(outcome.effects.map((e) => e.type)).toEqual(effects);
  });

  test("an end by what the function did and a lost connection are told apart", () => {
    const why = (overuse: boolean) => outcomeOf([...busy, disconnected, { type: "podEnded", overuse }]).effects[0];
    expect([why(true), why(false)]).toEqual([
      { type: "fail", requestId: "a", why: "overuse" },
      { type: "fail", requestId: "a", why: "connectionLost" },
    ]);
  });
});

describe("without ownership", () => {
  test.each<[string, EnvironmentEvent[], EnvironmentPhase, string[]]>([
    ["a new agent waits for its owner's assignment", [connected], "starting", []],
    ["its assignment by the owner is noticed", [connected, { type: "stateChange", state: "assigned" }], "idle", ["offer"]],
    ["a pod that does not connect is the owner's business", [{ type: "timeout" }], "starting", []],
    ["becoming the owner of a waiting agent assigns it", [connected, { type: "owned", owned: true }], "assigning", ["assign"]],
    [
      "becoming the owner of an idle environment changes nothing about it",
      [
        { type: "connected", state: "assigned" },
        { type: "owned", owned: true },
      ],
      "idle",
      [],
    ],
    [
      "an agent that failed is the owner's business, who may keep its pod to be looked at",
      [
        { type: "connected", state: "busy" },
        { type: "stateChange", state: "failed" },
      ],
      "foreign",
      [],
    ],
    [
      "becoming the owner of an agent that failed ends it when it says so again",
      [
        { type: "connected", state: "failed" },
        { type: "owned", owned: true },
        { type: "stateChange", state: "failed" },
      ],
      "retiring",
      ["startFailed", "shutdown", "deletePod"],
    ],
    [
      "becoming the owner of a silent pod gives it time, then ends it",
      [{ type: "timeout" }, { type: "owned", owned: true }, { type: "timeout" }],
      "retiring",
      ["startFailed", "disconnect", "deletePod"],
    ],
  ])("%s", (_, events, phase, effects) => {
    const outcome = outcomeOf(events, { owned: false });
    expect(outcome.state.phase).toBe(phase);
    expect(outcome.effects.map((e) => e.type)).toEqual(effects);
  });
});

describe("in a pool", () => {
  const warm: EnvironmentEvent[] = [{ type: "connected", state: "unassigned" }];
  const become: EnvironmentEvent = { type: "become" };
  const refused: EnvironmentEvent = { type: "assignmentFailed", refused: true };
  const learned: EnvironmentEvent = { type: "learned" };
  test.each<[string, EnvironmentEvent[], EnvironmentPhase, string[]]>([
    ["an agent that connects waits", warm, "pooled", []],
    ["an agent can be taken before it is warm", [{ type: "connected", state: "warming" }, become], "assigning", ["assign"]],
    ["one that is taken is assigned at once", [...warm, become], "assigning", ["assign"]],
    ["and offered when it has become the function", [...warm, become, { type: "assigned" }], "idle", ["offer"]],
    ["one that is not connected becomes nothing", [become], "starting", []],
    ["ownership of the pool assigns nothing", [...warm, { type: "owned", owned: true }], "pooled", []],
    ["an agent that refuses is not the function's", [...warm, become, refused], "pooled", ["refused"]],
    ["somebody else's assignment makes it foreign", [...warm, learned], "foreign", []],
    ["somebody else's assignment was first", [...warm, become, learned], "foreign", ["refused"]],
    ["the agent's own refusal of ours is then no news", [...warm, become, learned, refused], "foreign", []],
    ["it is idle once its agent says so", [...warm, learned, { type: "stateChange", state: "assigned" }], "idle", ["offer"]],
    ["a lost connection may come back", [...warm, disconnected], "starting", []],
    ["and is waited for", [...warm, disconnected, ...warm], "pooled", []],
    ["but not for ever", [...warm, disconnected, { type: "timeout" }], "retiring", ["startFailed", "disconnect", "deletePod"]],
    [
      "an agent that keeps to other gateways is not waited for",
      [...warm, { type: "disconnected", how: "elsewhere" }, { type: "timeout" }],
      "starting",
      [],
    ],
    [
      "one that was taken and comes back without its assignment is assigned again",
      [...warm, become, disconnected, ...warm],
      "assigning",
      ["assign"],
    ],
    [
      "one that was taken and comes back as another function is not ours",
      [...warm, become, disconnected, learned],
      "starting",
      ["refused"],
    ],
    [
      "one that claims a state that needs an assignment is ended",
      [...warm, { type: "stateChange", state: "assigned" }],
      "retiring",
      ["disconnect", "deletePod"],
    ],
    [
      "one that fails is replaced",
      [...warm, { type: "stateChange", state: "failed" }],
      "retiring",
      ["startFailed", "shutdown", "deletePod"],
    ],
    ["one that is retired goes", [...warm, retire], "retiring", ["shutdown", "deletePod"]],
    ["one whose pod somebody deletes goes", [...warm, { type: "podTerminating" }], "retiring", ["shutdown"]],
    ["one whose pod is gone is gone", [...warm, { type: "podEnded", overuse: false }], "gone", ["disconnect"]],
    ["one that never connects is given up", [{ type: "timeout" }], "retiring", ["startFailed", "disconnect", "deletePod"]],
  ])("%s", (_, events, phase, effects) => {
    const outcome = outcomeOf(events, { pooled: true });
    expect(outcome.state.phase).toBe(phase);
    expect(outcome.effects.map((e) => e.type)).toEqual(effects);
  });

  test("what its agent says of itself is known: it warms, is warm, or may have another assignment", () => {
    const pooledAfter = (...events: EnvironmentEvent[]) => outcomeOf(events, { pooled: true }).state.pooled;
    const warming: EnvironmentEvent = { type: "connected", state: "warming" };
    expect(pooledAfter()).toBe("unknown");
    expect(pooledAfter(warming)).toBe("warming");
    expect(pooledAfter(warming, { type: "stateChange", state: "unassigned" })).toBe("warm");
    expect(pooledAfter(...warm, become, refused)).toBe("doubtful");
    expect(pooledAfter(...warm, become, refused, { type: "stateChange", state: "unassigned" })).toBe("warm");
    expect(pooledAfter(...warm, become)).toBeUndefined();
  });
});

test("a pod of the function's own that refuses waits for its later owner, and is assigned when there is none", () => {
  const refusal: EnvironmentEvent[] = [connected, { type: "assignmentFailed", refused: true }];
  expect(outcomeOf(refusal)).toMatchObject({ state: { phase: "starting" }, effects: [] });
  const again = outcomeOf([...refusal, { type: "stateChange", state: "unassigned" }]);
  expect(again).toMatchObject({ state: { phase: "assigning" }, effects: [{ type: "assign" }] });
});

const agentState = fc.constantFrom("warming" as const, "unassigned" as const, "assigned" as const, "busy" as const, "failed" as const);
const anything: fc.Arbitrary<EnvironmentEvent> = fc.oneof(
  agentState.map((state) => ({ type: "connected" as const, state })),
  fc.constantFrom("broken" as const, "orderly" as const, "elsewhere" as const).map((how) => ({ type: "disconnected" as const, how })),
  fc.constant({ type: "become" as const }),
  fc.constant({ type: "learned" as const }),
  fc.constant({ type: "assigned" as const }),
  fc.boolean().map((refused) => ({ type: "assignmentFailed" as const, refused })),
  fc.constantFrom("1", "2", "3").map((requestId) => ({ type: "sent" as const, requestId, until: 9 })),
  fc.record({ type: fc.constant("result" as const), requestId: fc.constantFrom("1", "2", "3"), reusable: fc.boolean() }),
  fc.constantFrom("1", "2", "3").map((requestId) => ({ type: "chunk" as const, requestId })),
  fc.constantFrom("1", "2", "3").map((requestId) => ({ type: "busy" as const, requestId })),
  agentState.map((state) => ({ type: "stateChange" as const, state })),
  fc.boolean().map((owned) => ({ type: "owned" as const, owned })),
  fc.constant(retire),
  fc.constant({ type: "podTerminating" as const }),
  fc.boolean().map((overuse) => ({ type: "podEnded" as const, overuse })),
  fc.constant({ type: "timeout" as const }),
);

test("whatever happens, each event ends exactly once and once begun nowhere else, only its own answer goes to its caller, and what retired never serves again", () => {
  fc.assert(
    fc.property(fc.array(anything, { maxLength: 40 }), fc.boolean(), fc.boolean(), (events, owned, pooled) => {
      let state = newEnvironment(owned, 0, pooled);
      let running: string | undefined;
      let available = false;
      let begun = false;
      let over = false;
      for (const event of events) {
        // A gateway sends an event only to an environment that was offered to it.
        if (event.type === "sent" && (!available || running !== undefined)) continue;
        const next = nextState(state, event, 0, LIMITS);
        if (event.type === "sent") [running, available, begun] = [event.requestId, false, false];
        for (const effect of next.effects) {
          if (effect.type === "offer") {
            expect(next.state.phase).toBe("idle");
            available = true;
          } else if (effect.type === "withdraw") {
            expect(available).toBe(true);
            available = false;
          } else if (effect.type === "pass") {
            expect(event).toMatchObject({ type: "chunk", requestId: running });
            begun = true;
          } else if (effect.type === "answer" || effect.type === "requeue" || effect.type === "fail") {
            expect(effect.requestId).toBe(running);
            if (effect.type === "requeue") expect(begun).toBe(false);
            if (effect.type === "answer") expect(event).toMatchObject({ type: "result", requestId: running });
            running = undefined;
          }
        }
        expect(next.state.phase === "busy" || next.state.phase === "lost").toBe(running !== undefined);
        expect(available).toBe(next.state.phase === "idle");
        // Who is in the pool runs nothing, and who is out of it never comes back but by refusing its assignment.
        if (next.state.pooled !== undefined) expect(["starting", "pooled", "retiring"]).toContain(next.state.phase);
        if (next.state.phase === "pooled") expect(next.state.pooled).toBeDefined();
        if (next.state.pooled === "doubtful" && state.pooled !== "doubtful") expect(event).toMatchObject({ refused: true });
        if (over) expect(["retiring", "gone"]).toContain(next.state.phase);
        over = next.state.phase === "retiring" || next.state.phase === "gone";
        state = next.state;
      }
    }),
    { numRuns: 3000 },
  );
});
