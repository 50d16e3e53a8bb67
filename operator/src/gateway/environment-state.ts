/**
 * The life of one environment as a gateway sees it, as a pure rule: what happened in, what to do out. An environment is one pod
 * with one agent; the gateway that owns its function gives it events, the others only watch it.
 */
import type { AgentState, Shutdown } from "../api/environment-protocol.ts";

/**
 * - `starting`: the pod is there, its agent is not connected (yet, or again), or waits for its assignment
 * - `pooled`: its agent is connected and can become any function that fits
 * - `assigning`: the assignment was sent
 * - `idle`: takes an event
 * - `busy`: runs an event of ours
 * - `foreign`: runs an event of another gateway, or one of a gateway that is gone
 * - `lost`: the connection broke while an event of ours ran; the pod's status may still say why
 * - `retiring`: takes nothing more; its pod is being deleted
 * - `gone`: nothing is left of it
 */
export type EnvironmentPhase = "starting" | "pooled" | "assigning" | "idle" | "busy" | "foreign" | "lost" | "retiring" | "gone";

export type RetireReason = Shutdown["reason"];

export interface EnvironmentState {
  phase: EnvironmentPhase;
  /** Whether this gateway owns the function, or the pool, and so decides about the environment. */
  owned: boolean;
  connected: boolean;
  /**
   * As long as it belongs to a pool and has no assignment, what its agent said last. `doubtful`: it refused an assignment, so it may have
   * another one by now.
   */
  pooled?: "unknown" | "warming" | "warm" | "doubtful";
  /** It was taken from a pool for an assignment of ours, of which the agent has said nothing yet. */
  taken?: true;
  /** Whether it could take an event before: if so its end is not a failed start. */
  served?: true;
  /** The event of ours that runs or was lost. */
  requestId?: string;
  /** Parts of its answer are with the caller: it can end, but not begin anew. */
  begun?: true;
  /** Retire once the event is over. */
  retire?: RetireReason;
  /** Monotonic milliseconds by which something must have happened; then a `timeout` is due. */
  until?: number;
}

/** How long things may take, milliseconds. */
export interface EnvironmentLimits {
  /** From the pod's creation to its agent's first connection. */
  startMs: number;
  /** For an agent to come back after its connection broke without an event. */
  reconnectMs: number;
  /** From the assignment to the first request for an event: package, initialisation (Lambda: 10 s). */
  assignMs: number;
  /** For the pod's status to say why a connection broke. */
  postMortemMs: number;
  /** Longest event of another gateway: the function's time-out and a margin. After that the agent is tried. */
  foreignMs: number;
}

/**
 * How a connection ended. `orderly`: the agent ended it because it goes away, having answered every event that it took. `elsewhere`: the
 * agent keeps to other gateways than this one.
 */
export type Disconnection = "broken" | "orderly" | "elsewhere";

export type EnvironmentEvent =
  | { type: "connected"; state: AgentState }
  | { type: "disconnected"; how: Disconnection }
  /** A pooled one is to become a function's. */
  | { type: "become" }
  /** It is a function's by another gateway's assignment. */
  | { type: "learned" }
  | { type: "assigned" }
  /** `refused`: the agent has another assignment, or knows of a later owner. Else it may be another gateway's that failed. */
  | { type: "assignmentFailed"; refused: boolean }
  | { type: "sent"; requestId: string; until: number }
  | { type: "result"; requestId: string; reusable: boolean }
  /** A part of the event's response. */
  | { type: "chunk"; requestId: string }
  | { type: "busy"; requestId: string }
  | { type: "stateChange"; state: AgentState }
  | { type: "owned"; owned: boolean }
  | { type: "retire"; reason: RetireReason }
  | { type: "podTerminating" }
  | { type: "podEnded"; overuse: boolean }
  | { type: "timeout" };

export type EnvironmentEffect =
  /** Send the assignment. */
  | { type: "assign" }
  /** It can take an event now. */
  | { type: "offer" }
  /** It can take none any more. */
  | { type: "withdraw" }
  /** The event was not taken; nothing ran. */
  | { type: "requeue"; requestId: string }
  /** The event's result is the frame that just came. */
  | { type: "answer"; requestId: string }
  /** The part of the event's response is the frame that just came. */
  | { type: "pass" }
  /** The event ended without a result. */
  | { type: "fail"; requestId: string; why: "connectionLost" | "overuse" | "protocol" | "noAnswer" }
  /** It was taken from a pool, and its agent did not take the assignment: it is not the function's. */
  | { type: "refused" }
  /** It never came to its first event. */
  | { type: "startFailed"; why: "timeout" | "ended" | "assignment" | "failed" }
  | { type: "shutdown"; reason: RetireReason }
  /** Delete the pod; `now` where its agent does not answer, else it has the time that an event may take. */
  | { type: "deletePod"; now: boolean }
  /** End the connection: the other side does not keep to the protocol. */
  | { type: "disconnect" };

export interface Transition {
  state: EnvironmentState;
  effects: readonly EnvironmentEffect[];
}

const NOTHING: readonly EnvironmentEffect[] = [];
const FRAMES: ReadonlySet<EnvironmentEvent["type"]> = new Set(["assigned", "assignmentFailed", "result", "chunk", "busy", "stateChange"]);
const OFFER: readonly EnvironmentEffect[] = [{ type: "offer" }];
const PASS: readonly EnvironmentEffect[] = [{ type: "pass" }];

/** A pod that was just made or found. `until` is when its agent must have connected. */
export function newEnvironment(owned: boolean, until: number, pooled = false): EnvironmentState {
  return { phase: "starting", owned, connected: false, until, ...(pooled ? { pooled: "unknown" } : {}) };
}

/** What an event changes. @param now monotonic milliseconds */
export function nextState(state: EnvironmentState, event: EnvironmentEvent, now: number, limits: EnvironmentLimits): Transition {
  if (state.phase === "gone") return stay(state);
  // Frames come over a connection, and those that were under way when the environment was given up change nothing.
  if (FRAMES.has(event.type) && (!state.connected || state.phase === "retiring")) return stay(state);
  if (event.type === "connected" && state.connected) return stay(state);
  switch (event.type) {
    case "sent":
      return { state: { ...rest(state), phase: "busy", requestId: event.requestId, until: event.until }, effects: NOTHING };
    case "result":
      return onResult(state, event);
    case "chunk":
      // As with an answer: never to another event's caller.
      return state.phase === "busy" && state.requestId === event.requestId
        ? { state: { ...state, begun: true }, effects: PASS }
        : protocolError(state);
    case "busy":
      return onBusy(state, event.requestId, now, limits);
    case "connected":
      return onConnected({ ...state, connected: true }, event.state, now, limits);
    case "disconnected":
      return onDisconnected({ ...state, connected: false }, event.how, now, limits);
    case "become":
      return onBecome(state, now, limits);
    case "learned":
      return onLearned(state, now, limits);
    case "assigned":
      return state.phase === "assigning" ? becomeIdle(state) : stay(state);
    case "assignmentFailed":
      return onAssignmentFailed(state, event.refused, now, limits);
    case "stateChange":
      return onStateChange(state, event.state, now, limits);
    case "owned":
      return onOwned(state, event.owned, now, limits);
    case "retire":
      return onRetire(state, event.reason);
    case "podTerminating":
      return onTerminating(state);
    case "podEnded":
      return onEnded(state, event.overuse);
    case "timeout":
      return onTimeout(state);
  }
}

function stay(state: EnvironmentState): Transition {
  return { state, effects: NOTHING };
}

/** The state without what belonged to the last phase. */
function rest({ phase, owned, connected, pooled, taken, served, retire }: EnvironmentState): EnvironmentState {
  return {
    phase,
    owned,
    connected,
    ...(pooled === undefined ? {} : { pooled }),
    ...(taken ? { taken } : {}),
    ...(served ? { served } : {}),
    ...(retire === undefined ? {} : { retire }),
  };
}

/** The same, once nothing of the pool that it came from counts any more. */
function ofFunction(state: EnvironmentState): EnvironmentState {
  const { pooled: _pooled, taken: _taken, ...own } = rest(state);
  return own;
}

/** Only one that can be taken becomes anything: its agent may have left in the same moment. */
function onBecome(state: EnvironmentState, now: number, limits: EnvironmentLimits): Transition {
  if (state.phase !== "pooled") return stay(state);
  return {
    state: { ...ofFunction(state), phase: "assigning", owned: true, taken: true, until: now + limits.assignMs },
    effects: [{ type: "assign" }],
  };
}

function onLearned(state: EnvironmentState, now: number, limits: EnvironmentLimits): Transition {
  if (state.pooled === undefined && !state.taken) return stay(state);
  if (state.phase === "retiring") return stay(ofFunction(state));
  const effects: readonly EnvironmentEffect[] = state.taken ? [{ type: "refused" }] : NOTHING;
  // Until its agent says that it is free, it is taken to run the event that it was assigned for.
  if (state.connected) return { state: { ...ofFunction(state), phase: "foreign", until: now + limits.foreignMs }, effects };
  return { state: { ...ofFunction(state), phase: "starting", ...(state.until === undefined ? {} : { until: state.until }) }, effects };
}

function onAssignmentFailed(state: EnvironmentState, refused: boolean, now: number, limits: EnvironmentLimits): Transition {
  // Somebody else's assignment came first, which was heard before, or failed.
  if (state.phase !== "assigning") return refused ? stay(state) : onFailed(state, "assignment", now, limits);
  if (!refused) return retireNow(state, "failed", [{ type: "startFailed", why: "assignment" }]);
  if (state.taken) return { state: { ...ofFunction(state), phase: "pooled", pooled: "doubtful" }, effects: [{ type: "refused" }] };
  // It was made for this assignment and can have no other: its agent knows of a later owner, or ends.
  return { state: { ...rest(state), phase: "starting", until: now + limits.reconnectMs }, effects: NOTHING };
}

/** Its agent says that it never serves. Whoever does not own it leaves it to the owner, who may keep its pod to be looked at. */
function onFailed(state: EnvironmentState, why: "assignment" | "failed", now: number, limits: EnvironmentLimits): Transition {
  if (state.pooled !== undefined) return protocolError(state);
  // The agent does not take the event that is on its way to it.
  if (state.phase === "busy" || state.phase === "lost") return stay(state);
  const withdraw: readonly EnvironmentEffect[] = state.phase === "idle" ? [{ type: "withdraw" }] : NOTHING;
  if (!state.owned) return { state: { ...ofFunction(state), phase: "foreign", until: now + limits.foreignMs }, effects: withdraw };
  return retireNow(state, "failed", [...withdraw, { type: "startFailed", why }]);
}

function onResult(state: EnvironmentState, { requestId, reusable }: { requestId: string; reusable: boolean }): Transition {
  // The answer of an event must never reach another event's caller.
  if (state.phase !== "busy" || state.requestId !== requestId) return protocolError(state);
  const answer: EnvironmentEffect = { type: "answer", requestId };
  if (!reusable) return retireNow(state, "failed", [answer]);
  if (state.retire !== undefined) return retireNow(state, state.retire, [answer]);
  return { state: { ...rest(state), phase: "idle" }, effects: [answer, ...OFFER] };
}

function onBusy(state: EnvironmentState, requestId: string, now: number, limits: EnvironmentLimits): Transition {
  if (state.phase !== "busy" || state.requestId !== requestId || state.begun) return protocolError(state);
  // It runs another gateway's, and says when it is free. Until then that one counts.
  return {
    state: { ...rest(state), phase: "foreign", until: now + limits.foreignMs },
    effects: [{ type: "requeue", requestId }],
  };
}

function onConnected(state: EnvironmentState, agent: AgentState, now: number, limits: EnvironmentLimits): Transition {
  if (state.phase === "retiring") return { state, effects: [{ type: "shutdown", reason: state.retire ?? "replaced" }] };
  // It came back, but the event's caller was given up when it went.
  if (state.phase === "lost") return stay(state);
  if (state.pooled !== undefined) return onPooledAgent(state, agent);
  switch (agent) {
    case "warming":
    case "unassigned":
      if (!state.owned) return { state: { ...rest(state), phase: "starting" }, effects: NOTHING };
      return { state: { ...rest(state), phase: "assigning", until: now + limits.assignMs }, effects: [{ type: "assign" }] };
    case "assigned":
      return becomeIdle(state);
    case "busy":
      return { state: { ...ofFunction(state), phase: "foreign", until: now + limits.foreignMs }, effects: NOTHING };
    case "failed":
      return onFailed(state, "failed", now, limits);
  }
}

/** What the agent of a pooled environment said of itself. */
function onPooledAgent(state: EnvironmentState, agent: AgentState): Transition {
  switch (agent) {
    case "warming":
      return { state: { ...rest(state), phase: "pooled", pooled: "warming" }, effects: NOTHING };
    case "unassigned":
      return { state: { ...rest(state), phase: "pooled", pooled: "warm" }, effects: NOTHING };
    case "failed":
      return retireNow(state, "failed", [{ type: "startFailed", why: "failed" }]);
    default:
      // Whoever has an assignment says which.
      return protocolError(state);
  }
}

function onDisconnected(state: EnvironmentState, how: Disconnection, now: number, limits: EnvironmentLimits): Transition {
  // One that keeps to other gateways lives, and is not expected back.
  const starting: EnvironmentState = {
    ...rest(state),
    phase: "starting",
    ...(how === "elsewhere" ? {} : { until: now + limits.reconnectMs }),
  };
  switch (state.phase) {
    case "busy":
      // The event came when the agent was closing already, which then neither took nor refused it.
      if (how === "orderly" && !state.begun) return leave(state, [{ type: "requeue", requestId: state.requestId ?? "" }]);
      return { state: { ...state, phase: "lost", until: now + limits.postMortemMs }, effects: NOTHING };
    case "idle":
      return { state: starting, effects: [{ type: "withdraw" }] };
    case "pooled":
    case "foreign":
    case "assigning":
      return { state: starting, effects: NOTHING };
    default:
      return stay(state);
  }
}

function onStateChange(state: EnvironmentState, agent: AgentState, now: number, limits: EnvironmentLimits): Transition {
  // While an event of ours is on its way, the agent's answer to it decides, not what it said before it got it.
  if (state.phase === "busy" || state.phase === "lost" || state.phase === "retiring") return stay(state);
  if (state.pooled !== undefined) return onPooledAgent(state, agent);
  switch (agent) {
    case "assigned":
      return state.phase === "idle" ? stay(state) : becomeIdle(state);
    case "busy":
      // With the assignment that is on its way to it, or another one: it answers that.
      if (state.phase === "assigning") return stay(state);
      return {
        state: { ...ofFunction(state), phase: "foreign", until: now + limits.foreignMs },
        effects: state.phase === "idle" ? [{ type: "withdraw" }] : NOTHING,
      };
    case "failed":
      // The outcome of our assignment follows, with its reason.
      return state.phase === "assigning" ? stay(state) : onFailed(state, "failed", now, limits);
    case "warming":
    case "unassigned":
      // It refused an assignment for the sake of an owner that is not one any more.
      if (state.phase !== "starting" || !state.owned) return stay(state);
      return { state: { ...rest(state), phase: "assigning", until: now + limits.assignMs }, effects: [{ type: "assign" }] };
  }
}

function onOwned(state: EnvironmentState, owned: boolean, now: number, limits: EnvironmentLimits): Transition {
  if (state.owned === owned) return stay(state);
  const changed = { ...state, owned };
  if (!owned) return { state: changed, effects: NOTHING };
  if (changed.phase !== "starting") return { state: changed, effects: NOTHING };
  if (!changed.connected) return { state: { ...changed, until: now + limits.startMs }, effects: NOTHING };
  return { state: { ...rest(changed), phase: "assigning", until: now + limits.assignMs }, effects: [{ type: "assign" }] };
}

function onRetire(state: EnvironmentState, reason: RetireReason): Transition {
  switch (state.phase) {
    case "busy":
    case "foreign":
    case "lost":
      return { state: { ...state, retire: state.retire ?? reason }, effects: NOTHING };
    case "retiring":
      return stay(state);
    case "idle":
      return retireNow(state, reason, [{ type: "withdraw" }]);
    default:
      return retireNow(state, reason, NOTHING);
  }
}

/** Somebody deletes the pod: the event that runs may end (the grace period is longer than any), and nothing comes after it. */
function onTerminating(state: EnvironmentState): Transition {
  switch (state.phase) {
    case "retiring":
      return stay(state);
    case "busy":
    case "foreign":
    case "lost":
      return { state: { ...state, retire: state.retire ?? "drain" }, effects: NOTHING };
    case "idle":
      return {
        state: { ...rest(state), phase: "retiring", retire: "drain" },
        effects: [{ type: "withdraw" }, { type: "shutdown", reason: "drain" }],
      };
    case "pooled":
      return { state: { ...rest(state), phase: "retiring", retire: "drain" }, effects: [{ type: "shutdown", reason: "drain" }] };
    default:
      return { state: { ...rest(state), phase: "retiring", retire: "drain" }, effects: startFailed(state, "ended") };
  }
}

function onEnded(state: EnvironmentState, overuse: boolean): Transition {
  const gone: EnvironmentState = { phase: "gone", owned: state.owned, connected: state.connected };
  // The controller sweeps the object away after a while in which a person can read why it ended.
  const cleanup: EnvironmentEffect[] = [{ type: "disconnect" }];
  switch (state.phase) {
    case "busy":
    case "lost":
      return {
        state: gone,
        effects: [{ type: "fail", requestId: state.requestId ?? "", why: overuse ? "overuse" : "connectionLost" }, ...cleanup],
      };
    case "idle":
      return { state: gone, effects: [{ type: "withdraw" }, ...cleanup] };
    case "starting":
    case "assigning":
      return { state: gone, effects: [...startFailed(state, "ended"), ...cleanup] };
    default:
      return { state: gone, effects: cleanup };
  }
}

function onTimeout(state: EnvironmentState): Transition {
  if (state.until === undefined) return stay(state);
  switch (state.phase) {
    case "lost":
      return retireLost(state, "connectionLost");
    case "busy":
      return retireLost(state, "noAnswer");
    case "starting":
    case "assigning":
      // Whoever does not own it leaves it to the owner.
      if (!state.owned) return { state: withoutDeadline(state), effects: NOTHING };
      return retireLostAgent(state, startFailed(state, "timeout"));
    case "foreign":
      // An agent that is still busy says so, and nothing runs.
      return becomeIdle(state);
    default:
      return { state: withoutDeadline(state), effects: NOTHING };
  }
}

function withoutDeadline(state: EnvironmentState): EnvironmentState {
  const { until: _until, ...without } = state;
  return without;
}

function becomeIdle(state: EnvironmentState): Transition {
  if (state.retire !== undefined) return retireNow(state, state.retire, NOTHING);
  return { state: { ...ofFunction(state), served: true, phase: "idle" }, effects: OFFER };
}

function startFailed(state: EnvironmentState, why: "timeout" | "ended"): readonly EnvironmentEffect[] {
  // Whoever does not own it has not seen what it came to.
  return state.served || !state.owned ? NOTHING : [{ type: "startFailed", why }];
}

/** Ends an environment whose agent answers, or was not heard of yet: it may run a former owner's event, which may end. */
function retireNow(state: EnvironmentState, reason: RetireReason, first: readonly EnvironmentEffect[]): Transition {
  const next: EnvironmentState = { ...rest(state), phase: "retiring", retire: reason };
  const goodbye: EnvironmentEffect[] = state.connected ? [{ type: "shutdown", reason }] : [];
  return { state: next, effects: [...first, ...goodbye, { type: "deletePod", now: false }] };
}

/** Ends an environment whose agent is ending by itself: its pod has the time to do so. */
function leave(state: EnvironmentState, first: readonly EnvironmentEffect[]): Transition {
  return {
    state: { ...rest(state), phase: "retiring", retire: state.retire ?? "drain" },
    effects: [...first, { type: "deletePod", now: false }],
  };
}

/** Ends an environment whose agent does not answer. */
function retireLostAgent(state: EnvironmentState, first: readonly EnvironmentEffect[]): Transition {
  return {
    state: { ...rest(state), phase: "retiring", retire: "failed" },
    effects: [...first, { type: "disconnect" }, { type: "deletePod", now: true }],
  };
}

function retireLost(state: EnvironmentState, why: "connectionLost" | "noAnswer"): Transition {
  return retireLostAgent(state, [{ type: "fail", requestId: state.requestId ?? "", why }]);
}

function protocolError(state: EnvironmentState): Transition {
  if (state.phase === "busy" || state.phase === "lost")
    return retireLostAgent(state, [{ type: "fail", requestId: state.requestId ?? "", why: "protocol" }]);
  return retireLostAgent(state, state.phase === "idle" ? [{ type: "withdraw" }] : NOTHING);
}
