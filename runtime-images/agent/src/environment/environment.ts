/**
 * One execution environment: what it was assigned, the runtime in it, and the one event at a time that it serves.
 *
 * The runtime goes through these phases; an event can be taken in all but `failed` and waits until the runtime is `ready`:
 *
 *     down ─start→ starting ─next→ ready ─event→ running ─response→ finishing ─next→ ready
 *       ↑─error, exit─┘                              └─time-out, exit→ stopping ─→ starting
 *
 * A start that fails or takes too long is tried again by the next event, within that event's own limit: Lambda does so, in the
 * same environment, for as long as somebody invokes it.
 */
import { existsSync } from "node:fs";
import type {
  AgentState,
  Assigned,
  Assignment,
  AssignmentFailed,
  Invoke,
  Result,
} from "../../../../operator/src/api/environment-protocol.ts";
import { MAX_STREAMED, STREAM_WINDOW } from "../../../../operator/src/api/environment-protocol.ts";
import { billedDurationMs, type Failure, type Usage } from "../../../../operator/src/domain/billing.ts";
import { FREEZE_DELAY_MS, INIT_LIMIT_MS, MEMORY_SAMPLE_MS, SETTLE_MS, START_SAMPLE_MS } from "../limits.ts";
import { describeError } from "../log.ts";
import type { FunctionLog } from "../logs/function-log.ts";
import { levelOf } from "../logs/levels.ts";
import { PlatformRecords } from "../logs/records.ts";
import { packageFailure } from "../package/package-error.ts";
import { ResponseStream, type StreamEnd, type StreamSource } from "../runtime-api/response-stream.ts";
import { RuntimeApi } from "../runtime-api/server.ts";
import { entrypointProblem, readProgram } from "./entrypoint.ts";
import {
  type Exit,
  errorBody,
  exited,
  INVALID_RESPONSE_MODE,
  notStarted,
  type PlatformError,
  RESPONSE_TOO_LARGE,
  streamTooLarge,
  timedOut,
  truncated,
} from "./failures.ts";
import { toMib } from "./memory.ts";
import type { Processes } from "./processes.ts";
import { RuntimeProcess } from "./runtime-process.ts";
import { isProvided, runtimeVariables } from "./variables.ts";

type Phase = "down" | "starting" | "ready" | "running" | "finishing" | "stopping" | "failed";

/** How an assignment went. */
export type AssignOutcome = { assigned: Assigned } | { failed: AssignmentFailed };

/** Whoever waits for an event's answer. */
export interface Caller {
  /** Takes a part of a streamed response; the content type comes with the first one. */
  chunk(bytes: Uint8Array, contentType: string | undefined): void;
  /** Takes the end of the event. The body is in pieces. */
  result(result: Result, body: Uint8Array[]): void;
}

export interface EnvironmentOptions {
  runtime: string;
  runtimeRoot: string;
  taskRoot: string;
  cgroupRoot: string;
  /** Largest file that the function may write. */
  maxFileBytes: number;
  /** Variables of the pod that the function sees. */
  inherited: Readonly<Record<string, string>>;
  /** Descriptor that the runtime's stdout and stderr go to. */
  outputFd: number;
  functionLog: FunctionLog;
  processes: Processes;
  /** Wall clock. */
  now: () => Date;
  /** Milliseconds on a clock that never goes back. */
  monotonic: () => number;
  onState: (state: AgentState) => void;
  /** Something worth a line in the agent's own log. */
  onNote: (message: string, fields: Record<string, unknown>) => void;
}

interface TakenEvent {
  invoke: Invoke;
  payload: Uint8Array;
  caller: Caller;
  /** Whether its START was written: after a start of the runtime that it had to wait for. */
  announced: boolean;
  /** What it streams from now on is for nobody. */
  callerLost: boolean;
  /** Set as soon as the runtime streams its response. */
  stream: ResponseStream | undefined;
  /** When its time began, on the monotonic clock; set when it is handed over, or on arrival if the runtime had to be started for it. */
  startedAt: number | undefined;
  /** The same as an end in epoch milliseconds. */
  deadlineMs: number;
}

/**
 * An event whose answer is known and whose log is not written to its end yet: what the runtime writes until it asks for the next
 * event is still of this one. AWS's client for Java posts an exception first and logs its stack trace afterwards.
 */
interface AnsweredEvent {
  requestId: string;
  usage: Usage;
  /** Set when the platform ended it. */
  failure: { error: PlatformError; status: Failure["status"] } | undefined;
  /** Set when the caller waits for the log. */
  answer: ((logTail: string | undefined) => void) | undefined;
}

/** What the function or the platform ended an event with, when it was no success. */
interface Ending {
  errorType: string;
  /** Set when it was the platform. */
  platform?: PlatformError;
}

export class Environment {
  readonly #options: EnvironmentOptions;
  readonly #log: FunctionLog;
  readonly #api: RuntimeApi;
  #apiAddress = "";
  #state: AgentState = "unassigned";
  #phase: Phase = "down";
  #assignment: Assignment | undefined;
  #records: PlatformRecords;
  #process: RuntimeProcess | undefined;
  #event: TakenEvent | undefined;
  /** The event before; there only while the runtime is `finishing`. */
  #answered: AnsweredEvent | undefined;
  /** Resolves the assignment; there until the first start has succeeded or failed. */
  #assigning: ((outcome: AssignOutcome) => void) | undefined;
  #startedAt = 0;
  /** Milliseconds of the first start; taken by the first event's report. */
  #initDurationMs: number | undefined;
  /** Whether the runtime is started again as soon as it has stopped. */
  #restart = false;
  #frozen = false;
  #draining: (() => void) | undefined;
  #maxMemoryBytes = 0;
  #initTimer: NodeJS.Timeout | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  /** Runs while it is open whether a streamed response broke off because its runtime has ended. */
  #brokenTimer: NodeJS.Timeout | undefined;
  #freezeTimer: NodeJS.Timeout | undefined;
  #memoryTimer: NodeJS.Timeout | undefined;

  constructor(options: EnvironmentOptions) {
    this.#options = options;
    this.#log = options.functionLog;
    this.#records = new PlatformRecords("Text", options.now);
    this.#api = new RuntimeApi({
      ready: () => this.#onReady(),
      response: (body) => this.#onResponse(body),
      stream: (source) => this.#onStream(source),
      error: (errorType, body) => this.#onResponse(body, { errorType }),
      invalidMode: () => this.#onPlatformError(INVALID_RESPONSE_MODE),
      tooLarge: () => this.#onPlatformError(RESPONSE_TOO_LARGE),
      initError: (errorType, body) => this.#onInitFailed(errorType, body),
    });
  }

  /** Opens the Runtime API. */
  async listen(port: number): Promise<void> {
    this.#apiAddress = await this.#api.listen(port);
  }

  get state(): AgentState {
    return this.#state;
  }

  get assignment(): Assignment | undefined {
    return this.#assignment;
  }

  /** Takes an assignment. To be called once; {@link Environment.begin} carries it out. */
  accept(assignment: Assignment): void {
    this.#assignment = assignment;
    this.#setState("busy");
    const { format, applicationLevel, systemLevel } = assignment.logging;
    this.#records = new PlatformRecords(format, this.#options.now, levelOf(systemLevel));
    this.#log.configure(format, this.#records, levelOf(applicationLevel));
  }

  /**
   * Becomes the function that was accepted.
   * @param preparePackage puts the function's code in its place
   */
  async begin(preparePackage: () => Promise<void>): Promise<AssignOutcome> {
    const { promise, resolve } = Promise.withResolvers<AssignOutcome>();
    this.#assigning = resolve;
    try {
      await preparePackage();
    } catch (error) {
      this.#phase = "failed";
      this.#options.onNote("the package could not be put in place", { error: describeError(error) });
      const { errorType, message } = packageFailure(error);
      this.#settleAssignment({ failed: { assignmentId: this.#assignmentId, kind: "package", errorType, message } });
      this.#setState("failed");
      return await promise;
    }
    this.#start();
    return await promise;
  }

  /**
   * Takes an event.
   * @returns false when it cannot: nothing is assigned yet, another event is running, or the environment is done for
   */
  invoke(invoke: Invoke, payload: Uint8Array, caller: Caller): boolean {
    const occupied = this.#event || this.#answered?.answer || this.#assigning || this.#draining;
    if (occupied || this.#assignment === undefined || this.#phase === "failed") return false;
    if (this.#state === "failed" || this.#state === "unassigned") return false;
    this.#event = { invoke, payload, caller, announced: false, callerLost: false, stream: undefined, startedAt: undefined, deadlineMs: 0 };
    this.#setState("busy");
    if (!this.#answered) this.#log.beginEvent(invoke.requestId, invoke.logTail);
    switch (this.#phase) {
      case "ready":
        // A runtime that has ended, while its last words are still read, takes nothing.
        if (this.#process) this.#handOver(this.#event);
        break;
      case "down":
        this.#beginTime(this.#event);
        this.#start();
        break;
      case "starting":
      case "stopping":
        // From here on the event's own limit holds, and the start counts as part of it.
        clearTimeout(this.#initTimer);
        this.#beginTime(this.#event);
    }
    return true;
  }

  /** The caller has taken so many bytes of the streamed response. Of an event that is over it means nothing. */
  credit(requestId: string, bytes: number): void {
    if (this.#event?.invoke.requestId === requestId) this.#event.stream?.credit(bytes);
  }

  /** The caller is gone: the event goes on, and what it streams is dropped. */
  callerLost(requestId: string): void {
    const event = this.#event;
    if (event?.invoke.requestId !== requestId) return;
    event.callerLost = true;
    event.stream?.discard();
  }

  /** Takes no further event; resolves when the running one was answered and the runtime is killed. */
  async drain(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#draining = resolve;
    if (this.#event === undefined && this.#answered?.answer === undefined) resolve();
    await promise;
    const timers = [this.#initTimer, this.#deadlineTimer, this.#brokenTimer, this.#freezeTimer, this.#memoryTimer];
    for (const timer of timers) clearTimeout(timer);
    this.#phase = "failed";
    this.#process?.cancel();
    this.#log.catchUp();
    this.#close();
    this.#killProcesses();
    this.#api.close();
  }

  get #assignmentId(): string {
    return this.#assignment?.assignmentId ?? "";
  }

  // --- the runtime's life ---

  #start(): void {
    const assignment = this.#assignment;
    if (assignment === undefined || this.#draining) return;
    const { runtime, runtimeRoot, taskRoot, cgroupRoot, maxFileBytes, outputFd, inherited } = this.#options;
    this.#phase = "starting";
    this.#startedAt = this.#options.monotonic();
    // The one that overran is gone, and its memory with it.
    if (this.#maxMemoryBytes === Number.POSITIVE_INFINITY) this.#maxMemoryBytes = 0;
    this.#api.reset();
    const problem = isProvided(runtime) ? providedProblem(taskRoot) : undefined;
    if (problem !== undefined) {
      this.#onNotStarted(problem);
      return;
    }
    const started: RuntimeProcess = new RuntimeProcess({
      runtimeRoot,
      taskRoot,
      cgroupRoot,
      maxFileBytes,
      outputFd,
      variables: runtimeVariables({ assignment, runtime, runtimeApi: this.#apiAddress, taskRoot, runtimeRoot, inherited }),
      onExit: (exit) => void this.#onExit(started, exit),
      onStartError: (error) => {
        this.#options.onNote("the runtime could not be started", { error: error.message });
        this.#process = undefined;
        this.#onNotStarted(`fork/exec ${runtimeRoot}/bootstrap: ${"code" in error ? error.code : error.message}`);
      },
    });
    this.#process = started;
    // A process that has ended no longer says what it used.
    clearInterval(this.#memoryTimer);
    this.#memoryTimer = setInterval(() => this.#noteMemory(), START_SAMPLE_MS);
    clearTimeout(this.#initTimer);
    if (this.#event === undefined) this.#initTimer = setTimeout(() => this.#onInitTimeout(), INIT_LIMIT_MS[assignment.initializationType]);
  }

  /** Kills everything. The runtime's end is noticed by {@link Environment.#onExit}, which goes on from there. */
  #kill(restart: boolean): void {
    this.#restart = restart;
    this.#phase = "stopping";
    clearTimeout(this.#initTimer);
    clearInterval(this.#memoryTimer);
    this.#noteMemory();
    this.#killProcesses();
    this.#log.catchUp();
    this.#close();
    this.#api.reset();
    if (this.#process?.cancel()) this.#process = undefined;
    if (this.#process === undefined) this.#stopped();
  }

  #stopped(): void {
    if (this.#restart || this.#event) this.#start();
    else this.#phase = "down";
  }

  async #onExit(process: RuntimeProcess, exit: Exit): Promise<void> {
    if (process !== this.#process) return;
    // What was sampled of it; of an overrun the kernel knows that it was all there is.
    this.#noteMemory(false);
    if (exit.outOfMemory) this.#maxMemoryBytes = Number.POSITIVE_INFINITY;
    this.#process = undefined;
    clearTimeout(this.#brokenTimer);
    if (this.#phase === "failed") return;
    if (this.#phase === "stopping") {
      this.#stopped();
      return;
    }
    // What it left behind must not live on beside its successor.
    this.#killProcesses();
    // It may have answered just before it ended; that is still on its way.
    if (this.#phase === "running" || this.#phase === "starting") await this.#api.settled(SETTLE_MS);
    if (this.#process !== undefined) return;
    this.#log.catchUp();
    this.#api.reset();
    switch (this.#phase) {
      case "starting": {
        const failure = exited(this.#event?.invoke.requestId, exit);
        this.#onInitFailed(failure.errorType, [errorBody(failure)], failure);
        break;
      }
      case "running": {
        const event = this.#event;
        if (event === undefined) return;
        const failure = exited(event.invoke.requestId, exit);
        this.#complete(event, [errorBody(failure)], { errorType: failure.errorType, platform: failure });
        this.#start();
        break;
      }
      case "finishing":
        clearTimeout(this.#deadlineTimer);
        this.#close();
        this.#options.onNote("the runtime ended after it had answered; it is started again", { ...exit });
        if (this.#event) this.#beginTime(this.#event);
        this.#start();
        break;
      case "ready":
        // Not started again at once: one that always ends here would never stop being started.
        this.#options.onNote("the runtime ended while it waited for an event; the next event starts it again", { ...exit });
        this.#phase = "down";
        if (this.#event) {
          this.#beginTime(this.#event);
          this.#start();
        }
    }
  }

  #onInitTimeout(): void {
    const durationMs = this.#options.monotonic() - this.#startedAt;
    this.#kill(false);
    this.#log.platform(this.#records.initReport(durationMs, "init", { status: "timeout" }));
    this.#settleAssignment({ assigned: { assignmentId: this.#assignmentId, initDurationMs: durationMs } });
    this.#setState("assigned");
  }

  /**
   * A start has failed. The event that waits for it is answered with why; where none does, the next one tries again.
   * @param platform set when it was not the runtime that told
   */
  #onInitFailed(errorType: string, body: Uint8Array[], platform?: PlatformError): void {
    if (this.#phase !== "starting") return;
    const durationMs = this.#options.monotonic() - this.#startedAt;
    clearTimeout(this.#initTimer);
    const event = this.#event;
    // Not started again before somebody asks for it: one that always fails would never stop being started.
    this.#event = undefined;
    this.#kill(false);
    this.#log.platform(this.#records.initReport(durationMs, event ? "invoke" : "init", { status: "error", errorType }));
    this.#settleAssignment({ assigned: { assignmentId: this.#assignmentId, initDurationMs: durationMs } });
    if (event) this.#complete(event, body, platform ? { errorType, platform } : { errorType });
    else this.#setState("assigned");
  }

  #onNotStarted(reason: string): void {
    const failure = notStarted(this.#event?.invoke.requestId, reason);
    this.#onInitFailed(failure.errorType, [errorBody(failure)], failure);
  }

  #settleAssignment(outcome: AssignOutcome): void {
    this.#assigning?.(outcome);
    this.#assigning = undefined;
  }

  // --- an event's life ---

  #onReady(): void {
    if (this.#phase === "starting") {
      clearTimeout(this.#initTimer);
      clearInterval(this.#memoryTimer);
      // What is known of a runtime that an event then ends.
      this.#noteMemory();
      const durationMs = this.#options.monotonic() - this.#startedAt;
      if (this.#assigning) {
        this.#initDurationMs = durationMs;
        this.#settleAssignment({ assigned: { assignmentId: this.#assignmentId, initDurationMs: durationMs } });
        this.#setState("assigned");
      }
    } else {
      // It goes on after a response that broke off.
      if (this.#phase === "running" && this.#event?.stream) this.#onTruncated();
      if (this.#phase !== "finishing") return;
      clearTimeout(this.#deadlineTimer);
      this.#close();
    }
    this.#phase = "ready";
    if (this.#event) this.#handOver(this.#event);
    else this.#freezeTimer = setTimeout(() => this.#freeze(), FREEZE_DELAY_MS);
  }

  #handOver(event: TakenEvent): void {
    clearTimeout(this.#freezeTimer);
    if (event.startedAt === undefined) this.#beginTime(event);
    this.#announce(event);
    this.#phase = "running";
    const { requestId, invokedFunctionArn, traceId, clientContext, cognitoIdentity } = event.invoke;
    this.#api.deliver({
      requestId,
      invokedFunctionArn,
      deadlineMs: event.deadlineMs,
      payload: event.payload,
      ...(traceId === undefined ? {} : { traceId }),
      ...(clientContext === undefined ? {} : { clientContext }),
      ...(cognitoIdentity === undefined ? {} : { cognitoIdentity }),
    });
    // After the event was sent, so that the runtime wakes up once and finds it.
    this.#stayAwake();
    this.#memoryTimer = setInterval(() => this.#process?.memory?.sample(), MEMORY_SAMPLE_MS);
  }

  #announce(event: TakenEvent): void {
    if (event.announced) return;
    event.announced = true;
    this.#log.platform(this.#records.start(event.invoke.requestId, this.#assignment?.version ?? ""));
  }

  #beginTime(event: TakenEvent): void {
    const limitMs = (this.#assignment?.timeout ?? 0) * 1000;
    event.startedAt = this.#options.monotonic();
    event.deadlineMs = this.#options.now().getTime() + limitMs;
    clearTimeout(this.#deadlineTimer);
    this.#deadlineTimer = setTimeout(() => this.#onDeadline(), limitMs);
  }

  #onResponse(body: Uint8Array[], ending?: Ending): void {
    const event = this.#event;
    if (this.#phase !== "running" || event === undefined) return;
    this.#phase = "finishing";
    this.#complete(event, body, ending);
  }

  /** Ends the event with the platform's own error. */
  #onPlatformError(error: PlatformError): void {
    this.#onResponse([errorBody(error)], { errorType: error.errorType, platform: error });
  }

  #onStream(source: StreamSource): ResponseStream {
    const event = this.#event;
    const stream: ResponseStream = new ResponseStream({
      source,
      window: STREAM_WINDOW,
      max: MAX_STREAMED,
      send: (bytes, first) => event?.caller.chunk(bytes, first ? source.contentType : undefined),
      onEnd: (end) => this.#onStreamEnd(end),
    });
    if (event) event.stream = stream;
    if (!event || event.callerLost) stream.discard();
    return stream;
  }

  #onStreamEnd(end: StreamEnd): void {
    switch (end.how) {
      case "complete":
        this.#onResponse([]);
        break;
      case "tooLarge":
        this.#onPlatformError(streamTooLarge(MAX_STREAMED));
        break;
      case "error":
        this.#onResponse([end.body ?? errorBody({ errorType: end.errorType, message: "" })], { errorType: end.errorType });
        break;
      case "broken":
        // The runtime has ended, most often; its end says more.
        this.#brokenTimer = setTimeout(() => this.#onTruncated(), SETTLE_MS);
    }
  }

  #onTruncated(): void {
    if (this.#event) this.#onPlatformError(truncated(this.#event.invoke.requestId));
  }

  #onDeadline(): void {
    const event = this.#event;
    const timeout = this.#assignment?.timeout ?? 0;
    if (event === undefined || event.startedAt === undefined) {
      // Answered, but the runtime never asked for the next event.
      this.#options.onNote("the runtime did not ask for the next event before its time limit; it is started again", {});
      this.#kill(true);
      if (event) this.#beginTime(event);
      return;
    }
    const failure = timedOut(event.invoke.requestId, timeout);
    const initDurationMs = this.#phase === "starting" ? this.#options.monotonic() - this.#startedAt : undefined;
    // Ended before it is answered: nothing of it runs on beside the next event, nor writes to its log.
    const ending = { errorType: failure.errorType, platform: failure };
    if (this.#phase !== "stopping") {
      // No longer waiting for a runtime, so that the next start has the limit of a start.
      this.#event = undefined;
      this.#kill(true);
    }
    if (initDurationMs !== undefined) this.#log.platform(this.#records.initReport(initDurationMs, "invoke", { status: "timeout" }));
    this.#complete(event, [errorBody(failure)], ending);
  }

  #complete(event: TakenEvent, body: Uint8Array[], ending?: Ending): void {
    const { invoke, caller, stream } = event;
    clearTimeout(this.#brokenTimer);
    stream?.abort();
    this.#announce(event);
    const timeout = ending?.errorType === "Sandbox.Timedout" && ending.platform !== undefined;
    const limitMs = (this.#assignment?.timeout ?? 0) * 1000;
    const usage: Usage = {
      durationMs: timeout ? limitMs : this.#options.monotonic() - (event.startedAt ?? this.#startedAt),
      ...(this.#initDurationMs === undefined ? {} : { initDurationMs: this.#initDurationMs }),
      memorySizeMb: this.#assignment?.memorySize ?? 0,
      maxMemoryMb: this.#maxMemoryMb(),
    };
    this.#initDurationMs = undefined;
    this.#event = undefined;
    clearInterval(this.#memoryTimer);
    // After an answer it goes on until the runtime asks for the next event.
    if (this.#phase !== "finishing") clearTimeout(this.#deadlineTimer);
    const result: Result = {
      requestId: invoke.requestId,
      ...(ending ? { functionError: "Unhandled", errorType: ending.errorType } : {}),
      billedMs: billedDurationMs(usage),
      ...(stream?.started ? { streamed: true } : {}),
      reusable: this.#phase !== "failed" && this.#draining === undefined,
      ...resultUsage(usage),
    };
    // A caller that does not want the log does not wait for it.
    if (!invoke.logTail) caller.result(result, body);
    this.#answered = {
      requestId: invoke.requestId,
      usage,
      failure: ending?.platform && { error: ending.platform, status: timeout ? "timeout" : "error" },
      answer: invoke.logTail ? (logTail) => caller.result(logTail === undefined ? result : { ...result, logTail }, body) : undefined,
    };
    if (this.#phase !== "finishing") this.#close();
    else if (!invoke.logTail) this.#onAnswered();
  }

  /** Ends the log of the event that was answered, if there is one, and begins that of the event that has come meanwhile. */
  #close(): void {
    const answered = this.#answered;
    if (answered === undefined) return;
    this.#answered = undefined;
    const { requestId, usage, failure, answer } = answered;
    this.#log.catchUp();
    if (failure) this.#log.platform(this.#records.failure(requestId, failure.error.errorType, failure.error.message));
    this.#log.platform(this.#records.report(requestId, usage, failure && { status: failure.status, errorType: failure.error.errorType }));
    const logTail = this.#log.takeTail();
    answer?.(logTail);
    if (this.#event) this.#log.beginEvent(this.#event.invoke.requestId, this.#event.invoke.logTail);
    else this.#onAnswered();
  }

  #onAnswered(): void {
    if (this.#phase !== "failed") this.#setState("assigned");
    this.#draining?.();
  }

  // --- freeze and memory ---

  #freeze(): void {
    if (this.#phase !== "ready" || this.#event) return;
    this.#log.catchUp();
    this.#frozen = true;
    this.#options.processes.signal("SIGSTOP");
  }

  #stayAwake(): void {
    clearTimeout(this.#freezeTimer);
    if (!this.#frozen) return;
    this.#frozen = false;
    this.#options.processes.signal("SIGCONT");
  }

  /** Those that are stopped die without running again. */
  #killProcesses(): void {
    clearTimeout(this.#freezeTimer);
    this.#frozen = false;
    this.#options.processes.signal("SIGKILL");
  }

  #noteMemory(fresh = true): void {
    this.#maxMemoryBytes = Math.max(this.#maxMemoryBytes, this.#process?.memory?.peak(fresh) ?? 0);
  }

  /** Never more than the function has: the agent's allowance is not the function's. */
  #maxMemoryMb(): number {
    // Of the first event in any case: it is the one that people look at to choose a size.
    this.#noteMemory(this.#initDurationMs !== undefined);
    return Math.min(toMib(this.#maxMemoryBytes), this.#assignment?.memorySize ?? 0);
  }

  #setState(state: AgentState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState(state);
  }
}

/** Why a function of a provided runtime cannot be started, if that is so (guide, "OS-only runtimes"). */
function providedProblem(taskRoot: string): string | undefined {
  return entrypointProblem([readProgram(`${taskRoot}/bootstrap`), readProgram("/opt/bootstrap")], process.arch, existsSync);
}

function resultUsage(usage: Usage): Pick<Result, "durationMs" | "initDurationMs" | "maxMemoryMb"> {
  const { durationMs, initDurationMs, maxMemoryMb } = usage;
  return { durationMs, maxMemoryMb, ...(initDurationMs === undefined ? {} : { initDurationMs }) };
}
