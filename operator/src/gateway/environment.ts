import {
  type AgentState,
  type Assignment,
  CloseCode,
  FrameType,
  MAX_STREAMED,
  type Result,
  type RoleToken,
  STREAM_WINDOW,
} from "../api/environment-protocol.ts";
import type { FunctionEffective } from "../api/types.generated.ts";
import { roleOf } from "../domain/effective.ts";
import { KappaError } from "../domain/errors.ts";
import type { Clock } from "../kube/clock.ts";
import { MAX_RESPONSE } from "../lambda-api/invoke-request.ts";
import type { Logger } from "../telemetry/log.ts";
import { AssignedHeader, AssignmentFailedHeader, BusyHeader, isResponseChunk, isResult, StateChangeHeader } from "./agent-headers.ts";
import type { AgentConnection, ReceivedFrame } from "./agent-server.ts";
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
import type { BytesLeft, Invocation } from "./invocation.ts";
import { failureBody, overused, RESPONSE_TOO_LARGE } from "./platform-errors.ts";
import type { Overuse, PodCondition } from "./pod.ts";

/** Added to a function's time-out before an agent that does not answer is given up. It enforces the time-out itself. */
const ANSWER_MARGIN_MS = 15_000;
/** For the agent to fetch and unpack the package and start the runtime (Lambda allows the start 10 s). */
const ASSIGN_MS = 60_000;
const RECONNECT_MS = 10_000;
const BUSY_MS = 200;
/** A kubelet looks at its containers once a second and then reports: 2 s on a busy machine, and more than that on a busier one. */
const POST_MORTEM_MS = 5_000;
/** An environment's credentials are good for 12 h, so it is replaced before, those of one hour not all at once. */
const MAX_AGE_MS = 10 * 3_600_000;
const AGE_SPREAD_MS = 3_600_000;
/** Credit is told in steps of so many bytes: a frame for each small part would be as much traffic again. */
const CREDIT_BYTES = 64 * 1024;

/** Why an environment never came to its first event. */
export type StartFailure =
  | { why: "timeout" | "ended" | "failed"; detail: string }
  /** It was ended by what the function did while it was initialised. */
  | { why: "overuse"; overuse: Overuse }
  | { why: "package"; errorType: string; message: string }
  | { why: "refused" };

/** What is counted of an event. */
export type Used = Pick<Result, "durationMs" | "billedMs" | "functionError">;

/** The dispatcher of a function hears from its environments. */
export interface EnvironmentHost {
  offered(environment: Environment): void;
  withdrawn(environment: Environment): void;
  /** The event was not taken; nothing ran. */
  requeued(invocation: Invocation): void;
  startFailed(environment: Environment, failure: StartFailure): void;
  moved(environment: Environment, from: EnvironmentPhase): void;
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
  deletePod(environment: Environment, now: boolean): void;
  /** Has the execution role's Kubernetes token told, now or when it comes, and whenever it is renewed. Returns the way to end that. */
  followRole(namespace: string, serviceAccount: string, tell: (token: RoleToken) => void): () => void;
}

/** Phases in which the agent holds the role's token. */
const HOLDS_TOKEN: ReadonlySet<EnvironmentPhase> = new Set(["assigning", "idle", "busy", "foreign"]);

/** What is known of a pod when its environment enters the table. */
export interface EnvironmentIdentity {
  namespace: string;
  podName: string;
  podUid: string;
  /** From the pod's annotation: what it was made for and can never change. */
  assignmentId: string;
}

/** A response that the runtime streams, so far. All bytes. */
interface Streaming {
  received: number;
  /** Told to the agent. */
  credited: number;
  /** Left, and not told yet. */
  owed: number;
  left: BytesLeft;
}

/** One environment: its pod, its agent's connection and the event that runs in it. Decisions are in `environment-state.ts`. */
export class Environment {
  readonly identity: EnvironmentIdentity;
  /** `namespace/podName`. */
  readonly key: string;
  readonly functionUid: string;
  /** Epoch milliseconds from which on it is not to be used any more. */
  readonly oldAt: number;
  /** What it was made for, where this gateway still knows it. */
  runnable: Runnable | undefined;
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
  /** Monotonic milliseconds: since when it is in its phase. */
  since: number;
  /** Monotonic milliseconds at which this gateway wanted it for a caller; absent where another one did. */
  wantedSince: number | undefined;
  /** Until then it is counted on to start. */
  expectedUntil: number;
  readonly #deps: EnvironmentDeps;
  readonly #limits: EnvironmentLimits;
  #host: EnvironmentHost | undefined;
  #state: EnvironmentState;
  #connection: AgentConnection | undefined;
  #unfollowRole: (() => void) | undefined;
  #invocation: Invocation | undefined;
  /** Monotonic milliseconds at which the last event was sent. */
  #sentAt = 0;
  /** Whether anything of the function can have run in it. */
  #assigned = false;
  /**
   * Whether its runtime once overran the memory and only that process was killed. From then on containers' runtimes report the whole
   * container as killed for its memory, whatever ends it.
   */
  #overran = false;
  /** What it ended of, where the function did that. */
  #overuse: Overuse | undefined;
  /** Of the event that runs. */
  #streaming: Streaming | undefined;

  constructor(
    identity: EnvironmentIdentity,
    is: { owned: boolean; runnable: Runnable | undefined; expectedMs: number; createdAt: number },
    deps: EnvironmentDeps,
  ) {
    this.identity = identity;
    this.key = `${identity.namespace}/${identity.podName}`;
    this.functionUid = functionUidOf(identity);
    this.runnable = is.runnable;
    this.oldAt = is.createdAt + MAX_AGE_MS + AGE_SPREAD_MS * chanceOf(identity.podUid);
    this.#deps = deps;
    this.since = deps.clock.monotonic();
    this.expectedUntil = this.since + is.expectedMs;
    this.#state = newEnvironment(is.owned, this.since + deps.startTimeoutMs);
    this.#limits = {
      startMs: deps.startTimeoutMs,
      reconnectMs: RECONNECT_MS,
      assignMs: ASSIGN_MS,
      postMortemMs: POST_MORTEM_MS,
      // Of a configuration that is not known any more the longest time-out is assumed.
      foreignMs: (is.runnable?.effective.timeout ?? 900) * 1000 + ANSWER_MARGIN_MS,
      busyMs: BUSY_MS,
    };
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
    this.runnable ??= runnable;
  }

  /** Takes the agent's connection. */
  connect(connection: AgentConnection, state: AgentState): void {
    this.#connection = connection;
    this.apply({ type: "connected", state });
  }

  /** Sends a frame to the agent, if it is connected. */
  tell(frame: Parameters<AgentConnection["send"]>[0]): void {
    this.#connection?.send(frame);
  }

  /** @param orderly whether the agent said that it goes */
  disconnected(orderly: boolean): void {
    this.#connection = undefined;
    this.expectedUntil = this.#deps.clock.monotonic() + 2_000;
    this.apply({ type: "disconnected", orderly });
  }

  /** Hands an event over. Only for an environment that is idle. */
  run(invocation: Invocation, effective: FunctionEffective): void {
    const { clock } = this.#deps;
    const timeoutMs = effective.timeout * 1000;
    this.#invocation = invocation;
    this.#sentAt = clock.monotonic();
    invocation.started();
    this.apply({ type: "sent", requestId: invocation.requestId, until: this.#sentAt + timeoutMs + ANSWER_MARGIN_MS });
    this.#connection?.send({
      type: FrameType.invoke,
      header: {
        requestId: invocation.requestId,
        deadlineMs: clock.now() + timeoutMs,
        invokedFunctionArn: invocation.invokedArn,
        traceId: invocation.traceId,
        logTail: invocation.logTail,
        epoch: 0,
        ...(invocation.clientContext === undefined ? {} : { clientContext: invocation.clientContext }),
      },
      body: invocation.payload,
    });
  }

  /** The pod's status, as the watch shows it. */
  podChanged(condition: PodCondition): void {
    this.unschedulable = condition.unschedulable !== undefined;
    this.obstacle = condition.waiting ?? condition.unschedulable;
    if (condition.acknowledged !== "pending") this.unacknowledgedSince = undefined;
    else this.unacknowledgedSince ??= this.#deps.clock.monotonic();
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
        if (!header.success || header.data.assignmentId !== this.identity.assignmentId) {
          this.#malformed("assigned");
          return;
        }
        this.#host?.started(this, header.data.initDurationMs);
        this.apply({ type: "assigned" });
        return;
      }
      case FrameType.assignmentFailed:
        if (!AssignmentFailedHeader.safeParse(frame.header).success) {
          this.#malformed("assignmentFailed");
          return;
        }
        this.#apply({ type: "assignmentFailed" }, frame);
        return;
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
        this.apply({ type: "stateChange", state: header.data.state });
        return;
      }
      default:
        this.#malformed("frame");
        return;
    }
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
    const from = this.#state.phase;
    this.#state = state;
    if (state.phase !== from) {
      this.since = now;
      this.#host?.moved(this, from);
    }
    for (const effect of effects) this.#effect(effect, frame);
    this.#followRole();
  }

  /** The owner keeps the agent supplied with the role's token. After the effects: the assignment goes first. */
  #followRole(): void {
    const { owned, connected, phase } = this.#state;
    const wanted = owned && connected && HOLDS_TOKEN.has(phase);
    if (wanted === (this.#unfollowRole !== undefined)) return;
    this.#unfollowRole?.();
    this.#unfollowRole = undefined;
    if (!wanted || !this.runnable) return;
    this.#unfollowRole = this.#deps.followRole(this.identity.namespace, roleOf(this.runnable.effective), (header) =>
      this.#connection?.send({ type: FrameType.roleToken, header }),
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
        this.#take((invocation) => this.#host?.requeued(invocation));
        return;
      case "fail":
        this.#fail(effect.why);
        return;
      case "assign":
        this.#assign();
        return;
      case "startFailed":
        this.#startFailed(effect.why, frame);
        return;
      case "shutdown":
        this.#connection?.send({ type: FrameType.shutdown, header: { reason: effect.reason } });
        return;
      case "deletePod":
        if (!this.terminating || effect.now) this.#deps.deletePod(this, effect.now);
        return;
      case "disconnect":
        this.#connection?.close(CloseCode.goingAway, "the environment is over");
        return;
    }
  }

  #take(use: (invocation: Invocation) => void): void {
    const invocation = this.#invocation;
    this.#invocation = undefined;
    this.#streaming = undefined;
    if (invocation) use(invocation);
  }

  #pass(frame: ReceivedFrame | undefined): void {
    if (frame?.type !== FrameType.responseChunk) return;
    const { header, body } = frame;
    this.#streaming ??= this.#startStreaming(header.requestId);
    const streaming = this.#streaming;
    streaming.received += body.length;
    // What an agent may have on the way bounds what a slow caller costs.
    if (streaming.received - streaming.credited > STREAM_WINDOW || streaming.received > MAX_STREAMED + STREAM_WINDOW)
      this.#malformed("responseChunk");
    else this.#invocation?.chunk(body, header.contentType, streaming.left);
  }

  #startStreaming(requestId: string): Streaming {
    const streaming: Streaming = {
      received: 0,
      credited: 0,
      owed: 0,
      left: (bytes) => {
        streaming.owed += bytes;
        if (this.#streaming !== streaming || streaming.owed < CREDIT_BYTES) return;
        this.#connection?.send({ type: FrameType.credit, header: { requestId, bytes: streaming.owed } });
        streaming.credited += streaming.owed;
        streaming.owed = 0;
      },
    };
    return streaming;
  }

  #answer(frame: ReceivedFrame | undefined): void {
    if (frame?.type !== FrameType.result) return;
    const isTooLarge = frame.header.streamed === true && (this.#streaming?.received ?? 0) > MAX_RESPONSE;
    const { header, body } = frame;
    if (header.errorType === OUT_OF_MEMORY) this.#overran = true;
    this.#take((invocation) => {
      if (isTooLarge && !invocation.streaming && header.functionError === undefined) {
        const result: Result = { ...header, functionError: "Unhandled", errorType: RESPONSE_TOO_LARGE.errorType };
        invocation.finish({ type: "result", result, body: failureBody(RESPONSE_TOO_LARGE) });
        this.#host?.finished(this, invocation, result);
        return;
      }
      invocation.finish({ type: "result", result: header, body });
      this.#host?.finished(this, invocation, header);
    });
  }

  #fail(why: "connectionLost" | "overuse" | "protocol" | "noAnswer"): void {
    this.#take((invocation) => {
      if (why === "overuse" && this.#overuse) {
        // As far as it can be known from here.
        const durationMs = this.#deps.clock.monotonic() - this.#sentAt;
        invocation.finish({ type: "functionError", body: failureBody(overused(invocation.requestId, this.#overuse)) });
        this.#host?.finished(this, invocation, { durationMs, billedMs: Math.ceil(durationMs), functionError: "Unhandled" });
        return;
      }
      this.#deps.log.error(
        { pod: this.key, node: this.nodeName, requestId: invocation.requestId, why },
        "an environment was lost while it ran an event",
      );
      invocation.finish({
        type: "refused",
        error: new KappaError("K106", "The execution environment was lost while it processed the event. Retry the request."),
      });
      this.#host?.finished(this, invocation, undefined);
    });
  }

  #assign(): void {
    const assignment = this.#host?.assignment(this);
    if (assignment) {
      this.#assigned = true;
      this.#connection?.send({ type: FrameType.assign, header: assignment });
    } else this.apply({ type: "retire", reason: "replaced" });
  }

  #startFailed(why: "timeout" | "ended" | "assignment" | "failed", frame: ReceivedFrame | undefined): void {
    if (why === "ended" && this.#assigned && this.#overuse) {
      this.#host?.startFailed(this, { why: "overuse", overuse: this.#overuse });
      return;
    }
    if (why !== "assignment" || frame?.type !== FrameType.assignmentFailed) {
      this.#host?.startFailed(this, { why: why === "assignment" ? "failed" : why, detail: this.obstacle ?? NO_DETAIL[why] });
      return;
    }
    const { kind, errorType, message } = frame.header;
    if (kind === "package") this.#host?.startFailed(this, { why: "package", errorType, message });
    else this.#host?.startFailed(this, { why: "refused" });
  }
}

/** The function of an assignment. */
export function functionUidOf({ assignmentId }: EnvironmentIdentity): string {
  return assignmentId.slice(0, assignmentId.indexOf("/"));
}

const OUT_OF_MEMORY = "Runtime.OutOfMemory";

/** A number in [0, 1) that is the same each time: a UID begins with random digits. */
function chanceOf(uid: string): number {
  const digits = Number.parseInt(uid.slice(0, 8), 16);
  return Number.isNaN(digits) ? 0 : digits / 2 ** 32;
}

const NO_DETAIL = {
  timeout: "its agent did not connect in time",
  ended: "its pod ended before it could take an event",
  failed: "its agent reported a failure",
  assignment: "its agent reported a failure",
} as const;
