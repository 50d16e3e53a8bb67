import type { Assignment, AwsCredentials } from "../api/environment-protocol.ts";
import type { FunctionEffectiveLoggingConfig } from "../api/types.generated.ts";
import { functionArn } from "../domain/arns.ts";
import { roleOf } from "../domain/effective.ts";
import { KappaError } from "../domain/errors.ts";
import { LATEST } from "../domain/names.ts";
import type { Clock } from "../kube/clock.ts";
import { KubeError } from "../kube/errors.ts";
import type { FunctionMetrics, GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { AccountConcurrency } from "./account-concurrency.ts";
import type { Environment, EnvironmentHost, EnvironmentIdentity, StartFailure, Used } from "./environment.ts";
import type { EnvironmentPhase } from "./environment-state.ts";
import { type FunctionEntry, type Runnable, refusalOf } from "./function-entry.ts";
import type { Invocation } from "./invocation.ts";
import { failureBody, overused } from "./platform-errors.ts";
import type { PodWriter } from "./pod-writer.ts";
import type { SuspectNodes } from "./suspect-nodes.ts";

/** Pods of one function being asked for at once: enough for a burst, few enough that those no longer needed are not asked for. */
const MAX_CREATING = 25;
/** So many failed starts in a row, and the callers that wait hear of it. */
const MAX_START_FAILURES = 3;
/** Pause after pods could not be asked for. */
const CREATE_PAUSE_MS = 1_000;
/** An idle environment elsewhere is given up at most this often for a function whose pods find no room. */
const MAKE_ROOM_MS = 2_000;
/** A caller waits for so many starts at most. */
const WAIT_STARTS = 3;

export interface DispatcherDeps {
  clock: Clock;
  log: Logger;
  metrics: GatewayMetrics;
  pods: Pick<PodWriter, "create">;
  suspects: SuspectNodes;
  concurrency: AccountConcurrency;
  region: string;
  keepAliveMs: number;
  startTimeoutMs: number;
  accountIdOf(namespace: string): string | undefined;
  /** Base URL of Lambda's API for the functions themselves. */
  lambdaEndpoint: string;
  /** Credentials with which an environment acts as a ServiceAccount of its namespace. */
  credentialsFor(environment: EnvironmentIdentity, serviceAccount: string): AwsCredentials;
  /** Puts a pod that was just made into the table; if the watch was quicker, what it put there. */
  adopt(identity: EnvironmentIdentity, runnable: Runnable, wanted: { since: number; avoidsNodes: boolean }): Environment;
  /** Retires the idle environment that was used longest ago, of whichever function. */
  makeRoom(): void;
}

/**
 * Gives one function's events to its environments: to an idle one, else to the first that becomes free, of those that run and of
 * as many new ones as callers wait. Only the gateway that owns the function does this.
 */
export class Dispatcher implements EnvironmentHost {
  readonly #deps: DispatcherDeps;
  readonly #metrics: FunctionMetrics;
  #entry: FunctionEntry;
  #owned: boolean;
  #closed = false;
  readonly #environments = new Set<Environment>();
  /** Most recently used last: the others get old and are removed. */
  readonly #idle: Environment[] = [];
  readonly #waiting: Invocation[] = [];
  /** Everything accepted and not finished, with the way to give its concurrency back. */
  readonly #accepted = new Map<Invocation, () => void>();
  /** Environments that run events of other gateways: they count against the limit as well. */
  #foreign = 0;
  #creating = 0;
  #failures = 0;
  #createNotBefore = 0;
  #ignoreSuspectsUntil = 0;
  #madeRoomAt = Number.NEGATIVE_INFINITY;

  constructor(entry: FunctionEntry, owned: boolean, deps: DispatcherDeps) {
    this.#entry = entry;
    this.#owned = owned;
    this.#deps = deps;
    this.#metrics = deps.metrics.forFunction(entry.namespace, entry.functionName);
  }

  get entry(): FunctionEntry {
    return this.#entry;
  }

  get owned(): boolean {
    return this.#owned;
  }

  /** Events accepted and not finished. */
  get inFlight(): number {
    return this.#accepted.size;
  }

  /** Environments that take events now, longest unused first. */
  get idle(): readonly Environment[] {
    return this.#idle;
  }

  /** Whether nothing would be lost with it. */
  get isEmpty(): boolean {
    return this.#environments.size === 0 && this.#accepted.size === 0 && this.#creating === 0;
  }

  /** Takes an event. Ends it at once when a limit is reached or the function cannot be run. */
  submit(invocation: Invocation): void {
    if (!this.#owned) return void invocation.finish({ type: "notOwner" });
    const { runnable } = this.#entry;
    if (!runnable) {
      invocation.finish({ type: "refused", error: refusalOf(this.#entry, LATEST, this.#arn()) });
      return;
    }
    try {
      this.#accepted.set(invocation, this.#deps.concurrency.acquire(this.#entry, this.#accepted.size + this.#foreign));
    } catch (error) {
      if (!(error instanceof KappaError)) throw error;
      if (error.code === "K105") this.#metrics.throttled();
      return void invocation.finish({ type: "refused", error });
    }
    this.#metrics.concurrent(this.#accepted.size);
    const environment = this.#waiting.length === 0 ? this.#takeIdle(runnable) : undefined;
    if (environment) return void environment.run(invocation, runnable.effective);
    invocation.waiting();
    this.#waiting.push(invocation);
    this.#pump();
  }

  /** The function changed: environments of its former revision finish and go, none of them serves again. */
  update(entry: FunctionEntry): void {
    this.#entry = entry;
    this.#failures = 0;
    this.#retireStale();
    if (!entry.runnable) this.#refuseWaiting(refusalOf(entry, LATEST, this.#arn()));
    this.#pump();
  }

  /** The function is gone. */
  close(): void {
    this.#closed = true;
    const error = new KappaError("K100", `Function not found: ${this.#arn()}:${LATEST}`);
    this.#refuseWaiting(error);
    for (const environment of this.#environments) if (environment.owned) environment.apply({ type: "retire", reason: "replaced" });
    this.#deps.metrics.forgetFunction(this.#entry.namespace, this.#entry.functionName);
  }

  /** The gateway became, or is no longer, the owner. Events that wait go to the new owner; those that run end here. */
  setOwned(owned: boolean): void {
    if (this.#owned === owned) return;
    this.#owned = owned;
    for (const environment of this.#environments) environment.apply({ type: "owned", owned });
    if (owned) {
      this.#retireStale();
      this.#pump();
      return;
    }
    for (const invocation of this.#waiting.splice(0)) {
      this.#release(invocation);
      invocation.finish({ type: "notOwner" });
    }
  }

  /** Time has passed. */
  tick(now: number): void {
    for (const environment of this.#environments) environment.tick(now);
    if (!this.#owned) return;
    for (let oldest = this.#idle[0]; oldest && now - oldest.since >= this.#deps.keepAliveMs; oldest = this.#idle[0])
      oldest.apply({ type: "retire", reason: "idle" });
    this.#retireOld();
    if (this.#waiting.length === 0) return;
    this.#dropOverdue(now);
    this.#helpUnschedulable(now);
    this.#pump();
  }

  /** A pod of this function entered the table. */
  add(environment: Environment): void {
    this.#environments.add(environment);
    environment.attach(this, this.#entry.runnable?.assignmentId === environment.identity.assignmentId ? this.#entry.runnable : undefined);
    if (this.#isStale(environment) && environment.owned) environment.apply({ type: "retire", reason: "replaced" });
  }

  offered(environment: Environment): void {
    this.#failures = 0;
    this.#idle.push(environment);
    if (this.#owned && (this.#isStale(environment) || environment.oldAt <= this.#deps.clock.now()))
      environment.apply({ type: "retire", reason: "replaced" });
    else this.#pump();
  }

  withdrawn(environment: Environment): void {
    const index = this.#idle.indexOf(environment);
    if (index >= 0) this.#idle.splice(index, 1);
  }

  requeued(invocation: Invocation): void {
    if (!this.#owned) {
      this.#release(invocation);
      invocation.finish({ type: "notOwner" });
      return;
    }
    invocation.waiting();
    this.#waiting.unshift(invocation);
    this.#pump();
  }

  moved(environment: Environment, from: EnvironmentPhase): void {
    if (from === "foreign") this.#foreign--;
    if (environment.phase === "foreign") this.#foreign++;
    if (environment.phase === "gone") this.#environments.delete(environment);
  }

  started(environment: Environment, initDurationMs: number): void {
    const runtime = environment.runnable?.effective.runtime ?? "unknown";
    this.#deps.metrics.initDuration(runtime, initDurationMs / 1000);
    if (environment.wantedSince !== undefined)
      this.#deps.metrics.coldStart(runtime, (this.#deps.clock.monotonic() - environment.wantedSince) / 1000);
  }

  finished(environment: Environment, invocation: Invocation, used: Used | undefined): void {
    this.#release(invocation);
    if (!used) {
      this.#metrics.platformError();
      this.#deps.metrics.environmentFailed("connectionLost");
      return;
    }
    this.#metrics.finished({
      durationMs: used.durationMs,
      billedMs: used.billedMs,
      memoryMb: environment.runnable?.effective.memorySize ?? 0,
      functionError: used.functionError !== undefined,
    });
    if (!invocation.waited)
      this.#deps.metrics.overhead(Math.max(0, this.#deps.clock.monotonic() - invocation.arrivedAt - used.durationMs) / 1000);
  }

  startFailed(environment: Environment, failure: StartFailure): void {
    const { log, metrics } = this.#deps;
    const where = { pod: environment.key, node: environment.nodeName, function: this.#entry.key };
    switch (failure.why) {
      case "overuse":
        metrics.environmentFailed("init");
        this.#answerOne((invocation) => {
          this.#metrics.finished({
            durationMs: 0,
            billedMs: 0,
            memoryMb: environment.runnable?.effective.memorySize ?? 0,
            functionError: true,
          });
          invocation.finish({ type: "functionError", body: failureBody(overused(invocation.requestId, failure.overuse)) });
        });
        break;
      case "package": {
        metrics.environmentFailed("package");
        log.error({ ...where, errorType: failure.errorType, problem: failure.message }, "an environment could not unpack its package");
        const code = failure.errorType === "InvalidZipFileException" ? "K107" : "K106";
        this.#answerOne((invocation) => this.#refuse(invocation, new KappaError(code, failure.message)));
        break;
      }
      case "refused":
        log.warn(where, "an agent refused its assignment because it already has one");
        break;
      default:
        metrics.environmentFailed(failure.why === "timeout" ? "startTimeout" : "podFailed");
        log.error({ ...where, why: failure.why, detail: failure.detail }, "an environment did not start");
        this.#countFailure(new KappaError("K106", `No execution environment could be started: ${failure.detail}. Retry the request.`));
    }
    this.#pump();
  }

  assignment(environment: Environment): Assignment | undefined {
    const { runnable } = environment;
    const accountId = this.#deps.accountIdOf(this.#entry.namespace);
    if (!runnable || this.#isStale(environment) || accountId === undefined) return undefined;
    const { effective } = runnable;
    return {
      assignmentId: runnable.assignmentId,
      functionName: this.#entry.functionName,
      version: LATEST,
      functionArn: this.#arn(),
      handler: effective.handler,
      memorySize: effective.memorySize,
      timeout: effective.timeout,
      environment: effective.environment,
      region: this.#deps.region,
      accountId,
      initializationType: "on-demand",
      code: { sha256: effective.packageSha256, size: effective.codeSize },
      logging: { ...logging(effective.loggingConfig), stream: logStream(this.#deps.clock.now(), environment.identity.podUid) },
      credentials: this.#deps.credentialsFor(environment.identity, roleOf(effective)),
      lambdaEndpoint: this.#deps.lambdaEndpoint,
      pass: "none",
      epoch: 0,
    };
  }

  #arn(): string {
    const { namespace, functionName } = this.#entry;
    return functionArn({ region: this.#deps.region, accountId: this.#deps.accountIdOf(namespace) ?? "", functionName });
  }

  #isStale(environment: Environment): boolean {
    return this.#closed || environment.identity.assignmentId !== this.#entry.runnable?.assignmentId;
  }

  #retireStale(): void {
    if (!this.#owned) return;
    for (const environment of this.#environments) if (this.#isStale(environment)) environment.apply({ type: "retire", reason: "replaced" });
  }

  /** What has not been used for a while would otherwise learn only by its next event that it is too old. */
  #retireOld(): void {
    const now = this.#deps.clock.now();
    // Backwards, since each one that goes leaves the list.
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const environment = this.#idle[i];
      if (environment && environment.oldAt <= now) environment.apply({ type: "retire", reason: "replaced" });
    }
  }

  #takeIdle(runnable: Runnable): Environment | undefined {
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const environment = this.#idle[i];
      if (environment?.identity.assignmentId !== runnable.assignmentId) continue;
      this.#idle.splice(i, 1);
      return environment;
    }
    return undefined;
  }

  /** Brings waiting events and environments together, and asks for pods that are still missing. */
  #pump(): void {
    if (!this.#owned || this.#closed) return;
    const { runnable } = this.#entry;
    while (this.#waiting.length > 0 && runnable) {
      const environment = this.#takeIdle(runnable);
      if (!environment) break;
      const invocation = this.#nextWaiting();
      if (!invocation) {
        this.#idle.push(environment);
        break;
      }
      environment.run(invocation, runnable.effective);
    }
    if (this.#waiting.length === 0 || !runnable) return;
    const now = this.#deps.clock.monotonic();
    if (now < this.#createNotBefore) return;
    for (let missing = this.#waiting.length - this.#expected(now); missing > 0 && this.#creating < MAX_CREATING; missing--)
      void this.#create(runnable);
  }

  /** The next caller that is still there. */
  #nextWaiting(): Invocation | undefined {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      if (!next.cancelled) return next;
      this.#release(next);
    }
    return undefined;
  }

  /** Environments on their way: single flight per needed slot. */
  #expected(now: number): number {
    let expected = this.#creating;
    for (const environment of this.#environments) {
      if (!environment.isExpected(now) || this.#isStale(environment)) continue;
      // What was to start on a node that fell silent is not waited for.
      if (environment.connected || !this.#deps.suspects.has(environment.nodeName)) expected++;
    }
    return expected;
  }

  async #create(runnable: Runnable): Promise<void> {
    const { clock, pods, suspects } = this.#deps;
    const since = clock.monotonic();
    const avoid = since < this.#ignoreSuspectsUntil ? [] : suspects.current();
    this.#creating++;
    try {
      const identity = await pods.create(this.#entry, runnable, avoid);
      this.#creating--;
      const environment = this.#deps.adopt(identity, runnable, { since, avoidsNodes: avoid.length > 0 });
      if (this.#isStale(environment)) environment.apply({ type: "retire", reason: "replaced" });
    } catch (error) {
      this.#creating--;
      this.#createFailed(error);
    }
  }

  #createFailed(error: unknown): void {
    const { log, clock, metrics } = this.#deps;
    metrics.environmentFailed("podCreate");
    log.error({ err: error, function: this.#entry.key }, "the pod of an environment could not be created");
    this.#createNotBefore = clock.monotonic() + CREATE_PAUSE_MS;
    // While the API server is away callers wait for an environment to become free, or for it to come back.
    if (error instanceof KubeError && error.retryable) return;
    const noRuntime = error instanceof KappaError && error.code === "K114" ? error : undefined;
    const detail = error instanceof KubeError ? error.message : "an internal error occurred";
    this.#refuseWaiting(noRuntime ?? new KappaError("K106", `No execution environment could be started: ${detail}`, { cause: error }));
  }

  #countFailure(error: KappaError): void {
    this.#failures = this.#waiting.length === 0 ? 0 : this.#failures + 1;
    if (this.#failures < MAX_START_FAILURES) return;
    this.#failures = 0;
    this.#refuseWaiting(error);
  }

  #dropOverdue(now: number): void {
    const limit = this.#deps.startTimeoutMs * WAIT_STARTS;
    const obstacle = [...this.#environments].find((e) => e.obstacle !== undefined)?.obstacle;
    for (const invocation of [...this.#waiting]) {
      if (!invocation.cancelled && now - invocation.arrivedAt < limit) continue;
      this.#waiting.splice(this.#waiting.indexOf(invocation), 1);
      if (invocation.cancelled) this.#release(invocation);
      else
        this.#refuse(
          invocation,
          new KappaError(
            "K106",
            `No execution environment became available in time${obstacle === undefined ? "" : `: ${obstacle}`}. Retry the request.`,
          ),
        );
    }
  }

  #helpUnschedulable(now: number): void {
    for (const environment of this.#environments) {
      if (!environment.unschedulable || environment.phase !== "starting") continue;
      if (environment.avoidsNodes) {
        // Better a node that may be dead than none.
        this.#ignoreSuspectsUntil = now + this.#deps.startTimeoutMs * WAIT_STARTS;
        environment.apply({ type: "retire", reason: "failed" });
      } else if (now - this.#madeRoomAt >= MAKE_ROOM_MS) {
        this.#madeRoomAt = now;
        this.#deps.makeRoom();
      }
    }
  }

  #answerOne(answer: (invocation: Invocation) => void): void {
    const invocation = this.#nextWaiting();
    if (!invocation) return;
    this.#release(invocation);
    answer(invocation);
  }

  #refuseWaiting(error: KappaError): void {
    for (const invocation of this.#waiting.splice(0)) this.#refuse(invocation, error);
  }

  #refuse(invocation: Invocation, error: KappaError): void {
    this.#release(invocation);
    if ((error.entry.status ?? 500) >= 500) this.#metrics.platformError();
    invocation.finish({ type: "refused", error });
  }

  #release(invocation: Invocation): void {
    const release = this.#accepted.get(invocation);
    if (!release) return;
    this.#accepted.delete(invocation);
    release();
    this.#metrics.concurrent(this.#accepted.size);
  }
}

/** What a function's log is like. Levels act on the JSON format only, where Lambda's default is INFO for both. */
function logging({ logFormat, logGroup, applicationLogLevel, systemLogLevel }: FunctionEffectiveLoggingConfig) {
  if (logFormat === "Text") return { format: logFormat, group: logGroup };
  return { format: logFormat, group: logGroup, applicationLevel: applicationLogLevel ?? "INFO", systemLevel: systemLogLevel ?? "INFO" };
}

/** Name of an environment's log stream, as Lambda forms it. */
function logStream(now: number, podUid: string): string {
  return `${new Date(now).toISOString().slice(0, 10).replaceAll("-", "/")}/[${LATEST}]${podUid.replaceAll("-", "")}`;
}
