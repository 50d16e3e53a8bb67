import {
  type AgentState,
  type Assigned,
  type Assignment,
  CloseCode,
  FrameType,
  INLINE_PACKAGE,
  type KubernetesToken,
  type StateChange,
} from "../api/environment-protocol.ts";
import type { FunctionEffective } from "../api/types.generated.ts";
import { roleOf } from "../domain/effective.ts";
import type { Clock } from "../kube/clock.ts";
import type { Logger } from "../telemetry/log.ts";
import { AssignedHeader, AssignmentFailedHeader, BusyHeader, isResponseChunk, isResult, StateChangeHeader } from "./agent-headers.ts";
import type { AgentConnection, ConnectionEnd, ReceivedFrame } from "./agent-server.ts";
import type { EnvironmentFacts, EnvironmentIdentity, InitFailure, PoolOrigin, StartFailure, Used } from "./environment-facts.ts";
import {
  type EnvironmentEffect,
  type EnvironmentEvent,
  type EnvironmentLimits,
  type EnvironmentPhase,
  type EnvironmentState,
  newEnvironment,
  nextState,
} from "./environment-state.ts";
import type { Runnable } from "./function-registry.ts";
import type { Invocation } from "./invocation.ts";
import type { Overuse, PodCondition } from "./pod.ts";
import { RunningEvent } from "./running-event.ts";
import { initFailureOf, startFailureOf } from "./start-failure.ts";

/** Added to a function's time-out before an agent that does not answer is given up. It enforces the time-out itself. */
const ANSWER_MARGIN_MS = 15_000;
/** For the agent to fetch and unpack the package and start the runtime (Lambda allows the start 10 s). */
const ASSIGN_MS = 60_000;
/**
 * Lambda allows the start of one of provisioned concurrency this long, or its time-out where that is longer (Lambda's guide, "Lambda
 * execution environment lifecycle").
 */
const PROVISIONED_INIT_MS = 130_000;
const RECONNECT_MS = 10_000;
/** The gateway that assigned an environment has written by then what became of it, if it lives, and the watch has shown it. */
const WRITTEN_MS = 2_000;
/** A kubelet looks at its containers once a second and then reports: 2 s on a busy machine, and more than that on a busier one. */
const POST_MORTEM_MS = 5_000;
/** An environment's credentials are good for 12 h, so it is replaced before, those of one hour not all at once. */
const MAX_AGE_MS = 10 * 3_600_000;
const AGE_SPREAD_MS = 3_600_000;

export type { EnvironmentFacts, EnvironmentIdentity, InitFailure, PoolOrigin, StartFailure, Used } from "./environment-facts.ts";

/** Who keeps environments that are no function's hears from them. */
export interface PoolKeeper {
  moved(environment: Environment, from: EnvironmentPhase): void;
  startFailed(environment: Environment, failure: StartFailure): void;
}

/** The dispatcher of a function hears from its environments. */
export interface EnvironmentHost extends PoolKeeper {
  offered(environment: Environment): void;
  withdrawn(environment: Environment): void;
  /** The event was not taken; nothing ran. */
  requeued(environment: Environment, invocation: Invocation): void;
  /** It was taken from a pool, and somebody else's assignment was first: it is not this function's. After `startFailed`. */
  left(environment: Environment): void;
  /** No node has room for it. */
  obstructed(environment: Environment): void;
  /** Its agent has told what it does, for the latest view of the gateways. */
  epochAnswered(environment: Environment): void;
  /** The runtime asked for its first event. */
  started(environment: Environment, initDurationMs: number): void;
  finished(environment: Environment, invocation: Invocation, used: Used | undefined): void;
  /** Everything the agent needs to become this function; absent when that is no longer wanted. */
  assignment(environment: Environment): Assignment | undefined;
}

export interface EnvironmentDeps {
  clock: Clock;
  log: Logger;
  startTimeoutMs: number;
  pools: PoolKeeper;
  /** Of this gateway's view of the others. */
  epoch(): number;
  /** An agent knows of this view of the gateways. */
  heardEpoch(epoch: number): void;
  /** A package, where it is in memory. */
  packageBytes(sha256: string): Uint8Array | undefined;
  /** A pooled agent says that another gateway gave it this assignment. @returns whether it has shown so */
  claimed(environment: Environment, assignmentId: string, pass: string | undefined): boolean;
  /** It was taken from a pool, refused, and is no function's again. */
  returned(environment: Environment): void;
  /** It was sent its assignment. */
  assignmentSent(environment: Environment): void;
  /** It has become a function, as which it was not made. */
  becameFunction(environment: Environment): void;
  /** One of provisioned concurrency can take events now, or will not. */
  initialized(environment: Environment, failure: InitFailure | undefined): void;
  /** The size of its function is refused to one that came from a pool. */
  resizeRefused(environment: Environment, why: string): void;
  deletePod(environment: Environment, now: boolean): void;
  /** Has the execution role's Kubernetes token told, now or when it comes, and whenever it is renewed. Returns the way to end that. */
  followRole(namespace: string, serviceAccount: string, tell: (token: KubernetesToken) => void): () => void;
}

/** What an agent says became of its assignment. */
type Outcome = Extract<ReceivedFrame, { type: typeof FrameType.assigned | typeof FrameType.assignmentFailed }>;

/** Phases in which the agent holds the role's token. */
const HOLDS_TOKEN: ReadonlySet<EnvironmentPhase> = new Set(["assigning", "idle", "busy", "foreign"]);

/** One environment: its pod, its agent's connection and the event that runs in it. Decisions are in `environment-state.ts`. */
export class Environment {
  readonly identity: EnvironmentIdentity;
  /** `namespace/podName`. */
  readonly key: string;
  readonly pool: PoolOrigin | undefined;
  readonly provisioned: string | undefined;
  /** Whether its agent is known to have had its assignment; see `agent-admission.ts`. */
  confirmed: boolean;
  /** Its pod says what it was assigned. Of one from a pool that is written last, when it has its size. */
  annotated: boolean;
  nodeName: string | undefined;
  /** Somebody is deleting the pod already. */
  terminating = false;
  /** The scheduler's or kubelet's reason for a pod that does not start. */
  obstacle: string | undefined;
  /** No node has room for it. */
  unschedulable = false;
  /** Monotonic milliseconds since when its node has not taken note of the pod; absent when it has, or none was chosen. */
  unacknowledgedSince: number | undefined;
  /** Whether it was kept off suspect nodes. */
  avoidsNodes = false;
  /** Monotonic milliseconds: since when this gateway knows of it. */
  readonly madeAt: number;
  /** Monotonic milliseconds: since when it is in its phase. */
  since: number;
  /** Monotonic milliseconds at which this gateway wanted it for a caller; absent where another one did. */
  wantedSince: number | undefined;
  /** Until then it is counted on to start. */
  expectedUntil: number;
  readonly #deps: EnvironmentDeps;
  #assignmentId: string | undefined;
  #oldAt: number;
  /** Whether its processes may have begun. */
  #started = false;
  /** The latest view for which its agent has told what it does. */
  #answered = 0;
  #runnable: Runnable | undefined;
  #limits: EnvironmentLimits;
  #host: EnvironmentHost | undefined;
  #state: EnvironmentState;
  /** Of the function that it was taken for and is not of, until that was told. */
  #leftHost: EnvironmentHost | undefined;
  #connection: AgentConnection | undefined;
  #unfollowRole: (() => void) | undefined;
  #running: RunningEvent | undefined;
  /** Whether anything of the function can have run in it. */
  #assigned = false;
  /**
   * Whether its runtime once overran the memory and only that process was killed. From then on containers' runtimes report the whole
   * container as killed for its memory, whatever ends it.
   */
  #overran = false;
  /** What it ended of, where the function did that. */
  #overuse: Overuse | undefined;
  /** It is of provisioned concurrency, and it was told whether it takes events. */
  #initTold = false;
  /** It does not, which was told. */
  #initFailed = false;
  /** It has become a function, as which it was not made, which was told. */
  #became = false;
  /**
   * What became of the assignment that another gateway gave it, and the monotonic milliseconds at which that was heard first. That one may
   * be gone without having told anybody.
   */
  #outcome: { frame: Outcome; heardAt: number } | undefined;
  /** The first event's bill has the initialization in it. */
  #billsInit = true;

  constructor(identity: EnvironmentIdentity, is: EnvironmentFacts, deps: EnvironmentDeps) {
    this.identity = identity;
    this.key = `${identity.namespace}/${identity.podName}`;
    this.#assignmentId = is.assignmentId;
    this.confirmed = is.assignmentId !== undefined;
    this.annotated = this.confirmed;
    this.pool = is.pool;
    this.provisioned = is.provisioned;
    this.#runnable = is.runnable;
    this.#oldAt = is.createdAt;
    this.#deps = deps;
    this.madeAt = deps.clock.monotonic();
    this.since = this.madeAt;
    this.expectedUntil = this.since + is.expectedMs;
    this.#state = newEnvironment(is.owned, this.since + deps.startTimeoutMs, is.assignmentId === undefined);
    this.#limits = this.#limitsNow();
  }

  /** What it was made for or has become, where this gateway still knows it. */
  get runnable(): Runnable | undefined {
    return this.#runnable;
  }

  /** What it was made for or has become; absent for one that waits in a pool. */
  get assignmentId(): string | undefined {
    return this.#assignmentId;
  }

  /** The function that it belongs to. */
  get functionUid(): string | undefined {
    return functionUidOf(this.#assignmentId);
  }

  /** What its agent said last, while it waits in a pool. */
  get pooled(): EnvironmentState["pooled"] {
    return this.#state.pooled;
  }

  /** Epoch milliseconds from which on it is not to be used any more. */
  get oldAt(): number {
    return this.#oldAt + MAX_AGE_MS + AGE_SPREAD_MS * chanceOf(this.identity.podUid);
  }

  get phase(): EnvironmentPhase {
    return this.#state.phase;
  }

  get connected(): boolean {
    return this.#state.connected;
  }

  get owned(): boolean {
    return this.#state.owned;
  }

  /** Whether it is on its way to take events. */
  isExpected(now: number): boolean {
    return this.phase === "assigning" || (this.phase === "starting" && !this.terminating && (this.connected || now < this.expectedUntil));
  }

  /** Whether its function is known. */
  get attached(): boolean {
    return this.#host !== undefined;
  }

  isConnectedBy(connection: AgentConnection): boolean {
    return this.#connection === connection;
  }

  /** The function became known. */
  attach(host: EnvironmentHost, runnable: Runnable | undefined): void {
    this.#host = host;
    this.#setRunnable(this.#runnable ?? runnable);
  }

  /** Makes a pooled one the environment of a function. @param since monotonic milliseconds at which it was wanted */
  become(host: EnvironmentHost, runnable: Runnable, since: number): void {
    this.#host = host;
    this.#setRunnable(runnable);
    this.#assignmentId = runnable.assignmentId;
    this.wantedSince = since;
    this.#oldAt = this.#deps.clock.now();
    this.apply({ type: "become" });
  }

  /** Another gateway has made it the environment of a function. The one that it was taken for, if any, is told. */
  learn(assignmentId: string): void {
    this.apply({ type: "learned" });
    this.#assignmentId = assignmentId;
    this.confirmed = true;
    this.#oldAt = this.#deps.clock.now();
  }

  /** Whether it is known what it does in a view of the gateways: its agent has said so, or nothing runs in it yet. */
  answered(epoch: number): boolean {
    return !this.#started || (this.connected && this.#answered >= epoch);
  }

  /** Takes the agent's connection. */
  connect(connection: AgentConnection, state: AgentState): void {
    this.#connection = connection;
    this.#started = true;
    this.apply({ type: "connected", state: this.#awaitsOutcome(state) ? "busy" : state });
  }

  /** Whether its agent has yet to say what its state is worth: in answer to the welcome it tells what became of its assignment, then its state. */
  #awaitsOutcome(state: AgentState): boolean {
    if (this.pooled !== undefined) return false;
    return state === "failed" || (state === "assigned" && this.provisioned !== undefined && !this.#initTold);
  }

  /** Sends a frame to the agent, if it is connected. */
  tell(frame: Parameters<AgentConnection["send"]>[0]): void {
    this.#connection?.send(frame);
  }

  disconnected(end: ConnectionEnd): void {
    this.#connection = undefined;
    this.#outcome = undefined;
    this.#answered = 0;
    this.expectedUntil = this.#deps.clock.monotonic() + 2_000;
    this.apply({ type: "disconnected", how: end === "silent" ? "broken" : end });
  }

  /** Hands an event over. Only for an environment that is idle. */
  run(invocation: Invocation, effective: FunctionEffective): void {
    const { clock } = this.#deps;
    const timeoutMs = effective.timeout * 1000;
    const sentAt = clock.monotonic();
    const { requestId } = invocation;
    this.#running = new RunningEvent({
      invocation,
      sentAt,
      initMs: this.#billsInit ? this.#limits.assignMs : 0,
      credit: (bytes) => this.#connection?.send({ type: FrameType.credit, header: { requestId, bytes } }),
    });
    invocation.started();
    this.apply({ type: "sent", requestId, until: sentAt + timeoutMs + ANSWER_MARGIN_MS });
    this.#connection?.send({
      type: FrameType.invoke,
      header: {
        requestId,
        deadlineMs: clock.now() + timeoutMs,
        invokedFunctionArn: invocation.invokedArn,
        traceId: invocation.traceId,
        logTail: invocation.logTail,
        epoch: this.#deps.epoch(),
        ...(invocation.clientContext === undefined ? {} : { clientContext: invocation.clientContext }),
      },
      body: invocation.payload,
    });
  }

  /** The pod's status, as the watch shows it. */
  podChanged(condition: PodCondition): void {
    const obstructed = condition.unschedulable !== undefined && !this.unschedulable;
    this.unschedulable = condition.unschedulable !== undefined;
    this.#started ||= condition.started;
    this.obstacle = condition.waiting ?? condition.unschedulable;
    if (condition.acknowledged !== "pending") this.unacknowledgedSince = undefined;
    else this.unacknowledgedSince ??= this.#deps.clock.monotonic();
    if (obstructed) this.#host?.obstructed(this);
    if (condition.resizeRefused !== undefined && this.owned && this.#assignmentId !== undefined && this.#state.retire === undefined)
      this.#deps.resizeRefused(this, condition.resizeRefused);
    if (condition.ended === "terminating" && !this.terminating) {
      this.terminating = true;
      this.apply({ type: "podTerminating" });
    }
    if (condition.ended !== "ended") return;
    this.#overuse = this.#overran && condition.overuse?.of === "memory" ? undefined : condition.overuse;
    this.apply({ type: "podEnded", overuse: this.#overuse !== undefined });
  }

  /** Time has passed. */
  tick(now: number): void {
    if (this.#state.until !== undefined && this.#state.until <= now) this.apply({ type: "timeout" });
    this.#followUp(now);
  }

  frame(frame: ReceivedFrame): void {
    switch (frame.type) {
      case FrameType.result:
        if (!isResult(frame.header)) {
          this.#malformed("result");
          return;
        }
        this.#apply({ type: "result", requestId: frame.header.requestId, reusable: frame.header.reusable }, frame);
        return;
      case FrameType.responseChunk:
        // An empty one would cost neither credit nor budget, however many came.
        if (!isResponseChunk(frame.header) || frame.body.length === 0) {
          this.#malformed("responseChunk");
          return;
        }
        this.#apply({ type: "chunk", requestId: frame.header.requestId }, frame);
        return;
      case FrameType.assigned: {
        const header = AssignedHeader.safeParse(frame.header);
        if (!header.success) {
          this.#malformed("assigned");
          return;
        }
        if (!this.#isOwn(header.data.assignmentId, "assigned")) return;
        this.confirmed = true;
        // Once for each assignment: what is said again costs nothing, and writes nothing.
        if (this.phase === "assigning") this.#becameReady(header.data);
        else this.#heard({ ...frame, header: header.data });
        return;
      }
      case FrameType.assignmentFailed: {
        const header = AssignmentFailedHeader.safeParse(frame.header);
        if (!header.success) {
          this.#malformed("assignmentFailed");
          return;
        }
        const refused = header.data.kind === "refused";
        // Of one that was given up meanwhile, since somebody else's came first, the answer may come late.
        if (refused && this.phase !== "assigning") return;
        if (!this.#isOwn(header.data.assignmentId, "assignmentFailed")) return;
        if (this.phase === "assigning") this.#apply({ type: "assignmentFailed", refused }, frame);
        else this.#heard({ ...frame, header: header.data });
        return;
      }
      case FrameType.busy: {
        const header = BusyHeader.safeParse(frame.header);
        if (!header.success) {
          this.#malformed("busy");
          return;
        }
        this.apply({ type: "busy", requestId: header.data.requestId });
        return;
      }
      case FrameType.stateChange: {
        const header = StateChangeHeader.safeParse(frame.header);
        if (!header.success) {
          this.#malformed("stateChange");
          return;
        }
        this.#stateChanged(header.data);
        return;
      }
      default:
        this.#malformed("frame");
        return;
    }
  }

  /** Whether what an agent says is of the assignment that it is known to have. */
  #isOwn(assignmentId: string, what: string): boolean {
    if (assignmentId === this.#assignmentId) return true;
    // Of a pooled one it may not be known yet that another gateway was first: who it is now follows.
    if (this.pool === undefined || this.confirmed) this.#malformed(what);
    return false;
  }

  #becameReady({ initDurationMs, initError }: Assigned): void {
    this.#tellInitialized(initFailure(initError));
    // What is declared is to be initialised; else the next event tries again and is answered with the error.
    if (this.#initFailed) {
      this.apply({ type: "retire", reason: "failed" });
      return;
    }
    this.#host?.started(this, initDurationMs);
    this.apply({ type: "assigned" });
    this.#tellBecame();
  }

  #tellBecame(): void {
    if (!this.pool || this.annotated || this.#became) return;
    this.#became = true;
    this.#deps.becameFunction(this);
  }

  /** What became of an assignment, of which its gateway hears in its own way. */
  #heard(frame: Outcome): void {
    const now = this.#deps.clock.monotonic();
    this.#outcome ??= { frame, heardAt: now };
    this.#followUp(now);
  }

  /** The owner writes what the gateway that assigned it did not live to write. Billed is nothing here: the first result has it in it. */
  #followUp(now: number): void {
    if (!this.#outcome || !this.owned) return;
    const { frame, heardAt } = this.#outcome;
    if (frame.type === FrameType.assignmentFailed) {
      // The event that is on its way to it comes back first.
      if (this.phase === "busy" || this.phase === "lost") return;
      this.#outcome = undefined;
      this.#apply({ type: "assignmentFailed", refused: false }, frame);
      return;
    }
    const failure = this.#initTold || this.provisioned === undefined ? undefined : initFailure(frame.header.initError);
    if (failure === undefined && now - heardAt < WRITTEN_MS) return;
    this.#outcome = undefined;
    if (this.phase === "retiring" || this.phase === "gone") return;
    if (!this.#initTold) this.#tellInitialized(failure);
    if (failure) this.apply({ type: "retire", reason: "failed" });
    else this.#tellBecame();
  }

  #stateChanged({ state, epoch, assignmentId, pass }: StateChange): void {
    if (assignmentId !== undefined && assignmentId !== this.#assignmentId && !this.#deps.claimed(this, assignmentId, pass)) {
      this.#malformed("stateChange");
      return;
    }
    this.apply({ type: "stateChange", state });
    this.#deps.heardEpoch(epoch);
    if (epoch <= this.#answered) return;
    this.#answered = epoch;
    this.#host?.epochAnswered(this);
  }

  #malformed(what: string): void {
    this.#deps.log.warn({ pod: this.key, what }, "an agent sent something that the protocol does not allow");
    this.#connection?.close(CloseCode.protocolError, `the ${what} is not valid`);
  }

  /** Something happened to it. */
  apply(event: EnvironmentEvent): void {
    this.#apply(event, undefined);
  }

  #apply(event: EnvironmentEvent, frame: ReceivedFrame | undefined): void {
    const now = this.#deps.clock.monotonic();
    const { state, effects } = nextState(this.#state, event, now, this.#limits);
    const { phase: from, pooled } = this.#state;
    this.#state = state;
    // The function that it turns out not to be of hears nothing more of it than that.
    if (effects.some(({ type }) => type === "refused")) this.#leave();
    if (state.phase !== from) {
      this.since = now;
      if (this.#host) this.#host.moved(this, from);
      else if (pooled !== undefined || state.pooled !== undefined) this.#deps.pools.moved(this, from);
    }
    for (const effect of effects) this.#effect(effect, frame);
    this.#followRole();
  }

  #setRunnable(runnable: Runnable | undefined): void {
    this.#runnable = runnable;
    this.#limits = this.#limitsNow();
  }

  #limitsNow(): EnvironmentLimits {
    // Of a configuration that is not known any more the longest time-out is assumed.
    const timeoutMs = (this.#runnable?.effective.timeout ?? 900) * 1000;
    return {
      startMs: this.#deps.startTimeoutMs,
      reconnectMs: RECONNECT_MS,
      assignMs: this.provisioned === undefined ? ASSIGN_MS : Math.max(PROVISIONED_INIT_MS, timeoutMs) + ANSWER_MARGIN_MS,
      postMortemMs: POST_MORTEM_MS,
      foreignMs: timeoutMs + ANSWER_MARGIN_MS,
    };
  }

  /** It is not of the function that it was taken for. */
  #leave(): void {
    const host = this.#host;
    this.#host = undefined;
    // Whatever it becomes, that one's role is another.
    this.#unfollowRole?.();
    this.#unfollowRole = undefined;
    this.#setRunnable(undefined);
    this.#assignmentId = undefined;
    this.#outcome = undefined;
    this.#assigned = false;
    this.wantedSince = undefined;
    this.#leftHost = host;
  }

  /** The owner keeps the agent supplied with the role's token. After the effects: the assignment goes first. */
  #followRole(): void {
    const { owned, connected, phase } = this.#state;
    const wanted = owned && connected && HOLDS_TOKEN.has(phase);
    if (wanted === (this.#unfollowRole !== undefined)) return;
    this.#unfollowRole?.();
    this.#unfollowRole = undefined;
    const assignmentId = this.#assignmentId;
    if (!wanted || !this.#runnable || assignmentId === undefined) return;
    this.#unfollowRole = this.#deps.followRole(this.identity.namespace, roleOf(this.#runnable.effective), (token) =>
      this.#connection?.send({ type: FrameType.roleToken, header: { ...token, assignmentId } }),
    );
  }

  #effect(effect: EnvironmentEffect, frame: ReceivedFrame | undefined): void {
    switch (effect.type) {
      case "offer":
        this.#host?.offered(this);
        return;
      case "withdraw":
        this.#host?.withdrawn(this);
        return;
      case "answer":
        this.#answer(frame);
        return;
      case "pass":
        this.#pass(frame);
        return;
      case "requeue":
        this.#requeue();
        return;
      case "fail":
        this.#fail(effect.why);
        return;
      case "assign":
        this.#assign();
        return;
      case "refused": {
        const host = this.#leftHost;
        this.#leftHost = undefined;
        this.#deps.returned(this);
        host?.startFailed(this, { why: "refused" });
        host?.left(this);
        return;
      }
      case "startFailed":
        this.#startFailed(effect.why, frame);
        return;
      case "shutdown":
        this.#connection?.send({ type: FrameType.shutdown, header: { reason: effect.reason } });
        return;
      case "deletePod":
        if (!this.#initFailed && (!this.terminating || effect.now)) this.#deps.deletePod(this, effect.now);
        return;
      case "disconnect":
        this.#connection?.close(CloseCode.goingAway, "the environment is over");
        return;
    }
  }

  /** The event that ran, which does so no more. */
  #take(): RunningEvent | undefined {
    const running = this.#running;
    this.#running = undefined;
    return running;
  }

  #pass(frame: ReceivedFrame | undefined): void {
    if (frame?.type === FrameType.responseChunk && this.#running?.pass(frame) === false) this.#malformed("responseChunk");
  }

  #answer(frame: ReceivedFrame | undefined): void {
    if (frame?.type !== FrameType.result) return;
    if (frame.header.errorType === OUT_OF_MEMORY) this.#overran = true;
    const running = this.#take();
    this.#billsInit = false;
    if (running) this.#host?.finished(this, running.invocation, running.answer(frame, this.#deps.clock.monotonic()));
  }

  #requeue(): void {
    const running = this.#take();
    if (!running) return;
    running.requeued();
    this.#host?.requeued(this, running.invocation);
  }

  #fail(why: "connectionLost" | "overuse" | "protocol" | "noAnswer"): void {
    const running = this.#take();
    if (!running) return;
    const { invocation } = running;
    if (why === "overuse" && this.#overuse) {
      this.#host?.finished(this, invocation, running.overuse(this.#overuse, this.#deps.clock.monotonic()));
      return;
    }
    this.#deps.log.error(
      { pod: this.key, node: this.nodeName, requestId: invocation.requestId, why },
      "an environment was lost while it ran an event",
    );
    running.lost();
    this.#host?.finished(this, invocation, undefined);
  }

  #assign(): void {
    const assignment = this.#host?.assignment(this);
    if (assignment) {
      this.#assigned = true;
      const { sha256, size } = assignment.code;
      const body = size <= INLINE_PACKAGE ? this.#deps.packageBytes(sha256) : undefined;
      this.#connection?.send({ type: FrameType.assign, header: assignment, ...(body === undefined ? {} : { body }) });
      this.#deps.assignmentSent(this);
    } else this.apply({ type: "retire", reason: "replaced" });
  }

  /** For whoever declared it: the controller keeps its pod, to be looked at, and makes another one. */
  #tellInitialized(failure: InitFailure | undefined): void {
    if (this.provisioned === undefined) return;
    this.#initTold = true;
    this.#initFailed = failure !== undefined;
    this.#deps.initialized(this, failure);
  }

  #startFailed(why: "timeout" | "ended" | "assignment" | "failed", frame: ReceivedFrame | undefined): void {
    const overuse = this.#assigned ? this.#overuse : undefined;
    const failure = startFailureOf(why, { overuse, frame, obstacle: this.obstacle });
    this.#tellInitialized(initFailureOf(failure));
    (this.#host ?? this.#deps.pools).startFailed(this, failure);
  }
}

/** Why code that failed while it started cannot take events. */
function initFailure(error: Assigned["initError"]): InitFailure | undefined {
  return error && { reason: "FunctionError", message: `${error.errorType}: ${error.message}` };
}

/** The function of an assignment. */
export function functionUidOf(assignmentId: string | undefined): string | undefined {
  return assignmentId?.slice(0, assignmentId.indexOf("/"));
}

const OUT_OF_MEMORY = "Runtime.OutOfMemory";

/** A number in [0, 1) that is the same each time: a UID begins with random digits. */
function chanceOf(uid: string): number {
  const digits = Number.parseInt(uid.slice(0, 8), 16);
  return Number.isNaN(digits) ? 0 : digits / 2 ** 32;
}
