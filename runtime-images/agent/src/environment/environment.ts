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
import {
  type AgentState,
  type Assigned,
  type Assignment,
  type AssignmentFailed,
  type Invoke,
  MAX_INIT_MESSAGE,
} from "../../../../operator/src/api/environment-protocol.ts";
import { needsFreshStart } from "../../../../operator/src/domain/start-variables.ts";
import { INIT_LIMIT_MS, SETTLE_MS } from "../limits.ts";
import { describeError } from "../log.ts";
import type { FunctionLog } from "../logs/function-log.ts";
import { levelOf } from "../logs/levels.ts";
import { PlatformRecords } from "../logs/records.ts";
import { packageFailure } from "../package/package-error.ts";
import { RuntimeApi } from "../runtime-api/server.ts";
import { entrypointProblem, readProgram } from "./entrypoint.ts";
import { type Caller, Events } from "./events.ts";
import {
  type Exit,
  errorBody,
  errorMessageOf,
  exited,
  INVALID_RESPONSE_MODE,
  notStarted,
  type PlatformError,
  RESPONSE_TOO_LARGE,
  timedOut,
} from "./failures.ts";
import { Freezer } from "./freezer.ts";
import { MemoryWatch } from "./memory-watch.ts";
import type { Processes } from "./processes.ts";
import { RuntimeProcess } from "./runtime-process.ts";
import { isProvided, type RuntimeInput, runtimeVariables, zygoteVariables } from "./variables.ts";
import { Zygote } from "./zygote.ts";

type Phase = "down" | "starting" | "ready" | "running" | "finishing" | "stopping" | "failed";

/** How an assignment went. */
export type AssignOutcome = { assigned: Assigned } | { failed: AssignmentFailed };

export interface EnvironmentOptions {
  runtime: string;
  runtimeRoot: string;
  taskRoot: string;
  /** The same folder under a name by which it can be written. */
  unpackRoot: string;
  cgroupRoot: string;
  /** Largest file that the function may write. */
  maxFileBytes: number;
  /** Whether the pod is one of a pool, made larger than the function may be. */
  pooled: boolean;
  /** See {@link zygoteVariables}; absent where the runtime is not to be started before it has a function. */
  zygoteHeapMb: number | undefined;
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

export class Environment {
  readonly #options: EnvironmentOptions;
  readonly #log: FunctionLog;
  readonly #api: RuntimeApi;
  readonly #events: Events;
  readonly #freezer: Freezer;
  readonly #memory: MemoryWatch;
  #apiAddress = "";
  #state: AgentState = "unassigned";
  #phase: Phase = "down";
  #assignment: Assignment | undefined;
  /** The runtime's. */
  #variables: Record<string, string> = {};
  #records: PlatformRecords;
  #zygote: Zygote | undefined;
  #process: RuntimeProcess | undefined;
  /** Resolves the assignment; there until the first start has succeeded or failed. */
  #assigning: ((outcome: AssignOutcome) => void) | undefined;
  #startedAt = 0;
  #initTimer: NodeJS.Timeout | undefined;
  /** Whether the runtime is started again as soon as it has stopped. */
  #restart = false;
  #served = false;
  #draining: (() => void) | undefined;

  constructor(options: EnvironmentOptions) {
    this.#options = options;
    this.#log = options.functionLog;
    this.#records = new PlatformRecords("Text", options.now);
    this.#freezer = new Freezer(options.processes, () => this.#log.catchUp());
    this.#memory = new MemoryWatch({
      processes: options.processes,
      cgroupRoot: options.cgroupRoot,
      onOverrun: (pid) => this.#onOverrun(pid),
    });
    const events: Events = new Events({
      log: this.#log,
      now: options.now,
      monotonic: options.monotonic,
      maxMemoryMb: (first) => this.#memory.maxMb(this.#assignment?.memorySize ?? 0, first),
      onAnswer: () => this.#onAnswer(),
      onDeadline: () => this.#onDeadline(),
      reusable: () => this.#phase !== "failed" && this.#draining === undefined,
      onComplete: () => this.#memory.rest(),
      onIdle: () => this.#onIdle(),
    });
    this.#events = events;
    this.#api = new RuntimeApi({
      ready: () => this.#onReady(),
      response: (body) => events.respond(body),
      stream: (source) => events.stream(source),
      error: (errorType, body) => events.respond(body, { errorType }),
      invalidMode: () => events.fail(INVALID_RESPONSE_MODE),
      tooLarge: () => events.fail(RESPONSE_TOO_LARGE),
      initError: (errorType, body) => this.#onInitFailed(errorType, body),
    });
  }

  /** Opens the Runtime API and starts what can be started without a function. */
  async listen(port: number): Promise<void> {
    this.#apiAddress = await this.#api.listen(port);
    const { pooled, zygoteHeapMb, unpackRoot, onNote } = this.#options;
    if (zygoteHeapMb === undefined || !Zygote.exists(this.#options.runtimeRoot)) return;
    // A pod that was made for a function is assigned at once.
    if (pooled) this.#state = "warming";
    this.#zygote = new Zygote({
      ...this.#options,
      variables: zygoteVariables(this.#runtimeInput, zygoteHeapMb),
      codeRoot: unpackRoot,
      onSettled: () => {
        if (this.#state === "warming") this.#setState("unassigned");
      },
      onNote,
    });
  }

  get state(): AgentState {
    return this.#state;
  }

  get assignment(): Assignment | undefined {
    return this.#assignment;
  }

  /** Whether it has ever been able to take an event. */
  get served(): boolean {
    return this.#served;
  }

  /** Takes an assignment. To be called once; {@link Environment.begin} carries it out. */
  accept(assignment: Assignment): void {
    this.#assignment = assignment;
    this.#setState("busy");
    const { format, applicationLevel, systemLevel } = assignment.logging;
    this.#records = new PlatformRecords(format, this.#options.now, levelOf(systemLevel));
    this.#log.configure(format, this.#records, levelOf(applicationLevel));
    this.#events.configure({ assignment, records: this.#records });
    if (this.#options.pooled) this.#memory.enforce(assignment.memorySize * 1024 * 1024);
    this.#variables = runtimeVariables({ ...this.#runtimeInput, assignment });
    if (this.#zygote && needsFreshStart(this.#zygote.variables, this.#variables)) {
      this.#zygote.end();
      this.#zygote = undefined;
    }
  }

  /**
   * Becomes the function that was accepted.
   * @param preparePackage puts the function's code in its place, once that is empty
   */
  async begin(preparePackage: (empty: Promise<void> | undefined) => Promise<void>): Promise<AssignOutcome> {
    const { promise, resolve } = Promise.withResolvers<AssignOutcome>();
    this.#assigning = resolve;
    try {
      await preparePackage(this.#zygote?.taken(INIT_LIMIT_MS["on-demand"]));
    } catch (error) {
      this.#phase = "failed";
      this.#zygote?.end();
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
    const occupied = this.#events.occupied || this.#assigning || this.#draining;
    if (occupied || this.#assignment === undefined || this.#phase === "failed") return false;
    this.#events.take(invoke, payload, caller);
    this.#setState("busy");
    switch (this.#phase) {
      case "ready":
        // A runtime that has ended, while its last words are still read, takes nothing.
        if (this.#process) this.#handOver();
        break;
      case "down":
        this.#events.beginTime();
        this.#start();
        break;
      case "starting":
      case "stopping":
        // From here on the event's own limit holds, and the start counts as part of it.
        clearTimeout(this.#initTimer);
        this.#events.beginTime();
    }
    return true;
  }

  /** The caller has taken so many bytes of the streamed response. */
  credit(requestId: string, bytes: number): void {
    this.#events.credit(requestId, bytes);
  }

  /** The caller is gone. */
  callerLost(requestId: string): void {
    this.#events.callerLost(requestId);
  }

  /** Takes no further event; resolves when the running one was answered and the runtime is killed. */
  async drain(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#draining = resolve;
    if (!this.#events.occupied) resolve();
    await promise;
    clearTimeout(this.#initTimer);
    this.#events.stopTimers();
    this.#memory.rest();
    this.#phase = "failed";
    this.#zygote?.end();
    this.#process?.cancel();
    this.#log.catchUp();
    this.#events.close();
    this.#freezer.kill();
    this.#api.close();
  }

  get #assignmentId(): string {
    return this.#assignment?.assignmentId ?? "";
  }

  get #runtimeInput(): RuntimeInput {
    return { ...this.#options, runtimeApi: this.#apiAddress };
  }

  // --- the runtime's life ---

  #start(): void {
    const assignment = this.#assignment;
    // An event that was taken before the end began is still run.
    if (assignment === undefined || (this.#draining && !this.#events.current)) return;
    const { runtime, runtimeRoot, taskRoot, onNote } = this.#options;
    this.#phase = "starting";
    this.#startedAt = this.#options.monotonic();
    this.#api.reset();
    const problem = isProvided(runtime) ? providedProblem(taskRoot) : undefined;
    if (problem !== undefined) {
      this.#onNotStarted(problem);
      return;
    }
    const running = this.#zygote?.order(this.#variables);
    // Any other start is one from the beginning.
    this.#zygote = undefined;
    const started: RuntimeProcess = new RuntimeProcess({
      ...this.#options,
      variables: this.#variables,
      running,
      onExit: (exit) => void this.#onExit(started, exit),
      onStartError: (error) => {
        onNote("the runtime could not be started", { error: error.message });
        this.#process = undefined;
        this.#onNotStarted(`fork/exec ${runtimeRoot}/bootstrap: ${"code" in error ? error.code : error.message}`);
      },
    });
    this.#process = started;
    this.#memory.starting(() => started.memory);
    clearTimeout(this.#initTimer);
    if (this.#events.current === undefined)
      this.#initTimer = setTimeout(() => this.#onInitTimeout(), INIT_LIMIT_MS[assignment.initializationType]);
  }

  /** Kills everything. The runtime's end is noticed by {@link Environment.#onExit}, which goes on from there. */
  #kill(restart: boolean): void {
    this.#restart = restart;
    this.#phase = "stopping";
    clearTimeout(this.#initTimer);
    this.#memory.rest();
    this.#memory.note();
    this.#freezer.kill();
    this.#log.catchUp();
    this.#events.close();
    this.#api.reset();
    if (this.#process?.cancel()) this.#process = undefined;
    if (this.#process === undefined) this.#stopped();
  }

  #stopped(): void {
    if (this.#restart || this.#events.current) this.#start();
    else this.#phase = "down";
  }

  async #onExit(process: RuntimeProcess, exit: Exit): Promise<void> {
    if (process !== this.#process) return;
    this.#memory.ended(exit.outOfMemory);
    this.#process = undefined;
    this.#events.runtimeEnded();
    if (this.#phase === "failed") return;
    if (this.#phase === "stopping") {
      this.#stopped();
      return;
    }
    // What it left behind must not live on beside its successor.
    this.#freezer.kill();
    // It may have answered just before it ended; that is still on its way.
    if (this.#phase === "running" || this.#phase === "starting") await this.#api.settled(SETTLE_MS);
    if (this.#process !== undefined) return;
    this.#log.catchUp();
    this.#api.reset();
    switch (this.#phase) {
      case "starting": {
        const failure = exited(this.#events.current?.invoke.requestId, exit);
        this.#onInitFailed(failure.errorType, [errorBody(failure)], failure);
        break;
      }
      case "running": {
        const event = this.#events.current;
        if (event === undefined) return;
        const failure = exited(event.invoke.requestId, exit);
        this.#events.end(event, [errorBody(failure)], { errorType: failure.errorType, platform: failure });
        this.#start();
        break;
      }
      case "finishing":
        this.#events.stopTime();
        this.#events.close();
        this.#options.onNote("the runtime ended after it had answered; it is started again", { ...exit });
        this.#events.beginTime();
        this.#start();
        break;
      case "ready":
        // Not started again at once: one that always ends here would never stop being started.
        this.#options.onNote("the runtime ended while it waited for an event; the next event starts it again", { ...exit });
        this.#phase = "down";
        if (this.#events.current) {
          this.#events.beginTime();
          this.#start();
        }
    }
  }

  /** As the kernel does in a container of the function's own size. */
  #onOverrun(pid: number): void {
    if (this.#process === undefined) return;
    this.#options.onNote("the function uses more memory than it has; its largest process is killed", {
      memorySizeMb: this.#assignment?.memorySize,
    });
    if (pid !== this.#process.pid) return void this.#options.processes.kill(pid);
    this.#process.overran();
    this.#freezer.kill();
  }

  #onInitTimeout(): void {
    const durationMs = this.#options.monotonic() - this.#startedAt;
    this.#kill(false);
    this.#log.platform(this.#records.initReport(durationMs, "init", { status: "timeout" }));
    const { errorType, message } = timedOut(undefined, Math.round(durationMs / 1000));
    this.#settleInit(durationMs, { errorType, message });
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
    // Not started again before somebody asks for it: one that always fails would never stop being started.
    const event = this.#events.withdraw();
    this.#kill(false);
    this.#log.platform(this.#records.initReport(durationMs, event ? "invoke" : "init", { status: "error", errorType }));
    this.#settleInit(durationMs, { errorType, message: errorMessageOf(body).slice(0, MAX_INIT_MESSAGE) });
    if (event) this.#events.end(event, body, platform ? { errorType, platform } : { errorType });
    else this.#setState("assigned");
  }

  #onNotStarted(reason: string): void {
    const failure = notStarted(this.#events.current?.invoke.requestId, reason);
    this.#onInitFailed(failure.errorType, [errorBody(failure)], failure);
  }

  /** @param initError absent when the runtime has come to its first event */
  #settleInit(initDurationMs: number, initError?: Assigned["initError"]): void {
    this.#settleAssignment({ assigned: { assignmentId: this.#assignmentId, initDurationMs, ...(initError && { initError }) } });
  }

  #settleAssignment(outcome: AssignOutcome): void {
    this.#assigning?.(outcome);
    this.#assigning = undefined;
  }

  /** The runtime asks for an event. */
  #onReady(): void {
    if (this.#phase === "starting") {
      this.#served = true;
      clearTimeout(this.#initTimer);
      this.#memory.rest();
      // What is known of a runtime that an event then ends.
      this.#memory.note();
      const durationMs = this.#options.monotonic() - this.#startedAt;
      if (this.#assigning) {
        this.#events.started(durationMs);
        this.#settleInit(durationMs);
        this.#setState("assigned");
      }
    } else {
      // It goes on after a response that broke off.
      if (this.#phase === "running") this.#events.truncated();
      if (this.#phase !== "finishing") return;
      this.#events.stopTime();
      this.#events.close();
    }
    this.#phase = "ready";
    if (this.#events.current) this.#handOver();
    else this.#freezer.later();
  }

  #handOver(): void {
    const event = this.#events.current;
    if (event === undefined) return;
    const delivered = this.#events.handOver(event);
    this.#phase = "running";
    this.#api.deliver(delivered);
    // After the event was sent, so that the runtime wakes up once and finds it.
    this.#freezer.awake();
    this.#memory.running();
  }

  #onAnswer(): boolean {
    if (this.#phase !== "running") return false;
    this.#phase = "finishing";
    return true;
  }

  #onDeadline(): void {
    const event = this.#events.current;
    if (event?.startedAt === undefined) {
      // Answered, but the runtime never asked for the next event.
      this.#options.onNote("the runtime did not ask for the next event before its time limit; it is started again", {});
      this.#kill(true);
      this.#events.beginTime();
      return;
    }
    const failure = timedOut(event.invoke.requestId, this.#assignment?.timeout ?? 0);
    const initDurationMs = this.#phase === "starting" ? this.#options.monotonic() - this.#startedAt : undefined;
    // Ended before it is answered: nothing of it runs on beside the next event, nor writes to its log.
    if (this.#phase !== "stopping") {
      // No longer waiting for a runtime, so that the next start has the limit of a start.
      this.#events.withdraw();
      this.#kill(true);
    }
    if (initDurationMs !== undefined) this.#log.platform(this.#records.initReport(initDurationMs, "invoke", { status: "timeout" }));
    this.#events.end(event, [errorBody(failure)], { errorType: failure.errorType, platform: failure });
  }

  #onIdle(): void {
    if (this.#phase !== "failed") this.#setState("assigned");
    this.#draining?.();
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
