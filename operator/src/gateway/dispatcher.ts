import type { Assignment, AwsCredentials } from "../api/environment-protocol.ts";
import { functionArn } from "../domain/arns.ts";
import { roleOf } from "../domain/effective.ts";
import { type KappaError, throttled } from "../domain/errors.ts";
import type { FunctionMetrics, GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import { Admission, type Concurrency } from "./admission.ts";
import { assignmentFor } from "./assignments.ts";
import type { Environment, EnvironmentHost, EnvironmentIdentity, StartFailure, Used } from "./environment.ts";
import type { EnvironmentPhase } from "./environment-state.ts";
import { tellFailedStart } from "./failed-starts.ts";
import { type FunctionEntry, notFound, type Runnable, refusalOf, runnableOf, versionOf } from "./function-entry.ts";
import type { Invocation } from "./invocation.ts";
import { isProvisioned, Lane, type LaneDeps, type LaneHost } from "./lane.ts";
import { Patience } from "./patience.ts";
import type { PoolTaker } from "./pool-taker.ts";
import { hasAliasLeft, routesOf, versionNow } from "./qualifiers.ts";
import { Settling, type SettlingDeps } from "./settling.ts";
import { Starter, type StarterDeps } from "./starter.ts";

export interface DispatcherDeps extends LaneDeps, StarterDeps, SettlingDeps {
  pools: PoolTaker;
  log: Logger;
  metrics: GatewayMetrics;
  concurrency: Concurrency;
  region: string;
  /** A number from 0 to below 1, drawn anew for each question. */
  chance(): number;
  accountIdOf(namespace: string): string | undefined;
  /** Base URL of Lambda's API for the functions themselves. */
  lambdaEndpoint: string;
  /** Credentials with which an environment acts as a ServiceAccount of its namespace. */
  credentialsFor(environment: EnvironmentIdentity, serviceAccount: string): AwsCredentials;
  /** With what a pod shows any gateway that it was given an assignment. */
  passFor(podUid: string, assignmentId: string): string;
}

/**
 * Decides about one function's events and environments, over all its versions: what is accepted, and by which environment it is run.
 * Only the gateway that owns the function does this; a new owner first waits until it knows what the former one left running.
 */
export class Dispatcher implements EnvironmentHost, LaneHost {
  readonly #deps: DispatcherDeps;
  readonly #metrics: FunctionMetrics;
  readonly #admission: Admission;
  readonly #starter: Starter;
  readonly #settling: Settling;
  #entry: FunctionEntry;
  #owned: boolean;
  #closed = false;
  readonly #lanes = new Map<string, Lane>();
  readonly #laneOf = new Map<Environment, Lane>();
  readonly #patience = new Patience();

  /** @param settleUntil monotonic milliseconds until which a former owner's events are waited for */
  constructor(entry: FunctionEntry, owned: boolean, settleUntil: number, deps: DispatcherDeps) {
    this.#entry = entry;
    this.#owned = owned;
    this.#deps = deps;
    this.#metrics = deps.metrics.forFunction(entry.namespace, entry.functionName);
    this.#admission = new Admission(deps.concurrency, this.#metrics);
    this.#starter = new Starter(this, deps);
    this.#settling = new Settling(deps);
    if (owned) this.#settling.begin(settleUntil);
  }

  get entry(): FunctionEntry {
    return this.#entry;
  }

  get owned(): boolean {
    return this.#owned;
  }

  /** Whether events may be handed out and environments be started. */
  get active(): boolean {
    return this.#owned && !this.#closed && !this.#settling.active;
  }

  get lanes(): Iterable<Lane> {
    return this.#lanes.values();
  }

  /** Events accepted and not finished. */
  get inFlight(): number {
    return this.#admission.inFlight;
  }

  /** Whether nothing would be lost with it. */
  get isEmpty(): boolean {
    return this.#laneOf.size === 0 && this.inFlight === 0 && [...this.#lanes.values()].every(({ isEmpty }) => isEmpty);
  }

  /** Takes an event. Ends it at once when a limit is reached or its version cannot be run. */
  submit(invocation: Invocation): void {
    if (!this.#owned) return void invocation.finish({ type: "notOwner" });
    if (!runnableOf(this.#entry, invocation.version)) return void this.#finishRefused(invocation, this.#refusal(invocation.version));
    const refusal = this.#admission.admit(this.#entry, invocation);
    if (refusal === undefined) this.#accepted(invocation);
    else if (!(refusal instanceof Promise)) this.#finishRefused(invocation, refusal);
    else void this.#acceptLater(invocation, refusal);
  }

  async #acceptLater(invocation: Invocation, later: Promise<KappaError | undefined>): Promise<void> {
    invocation.waiting();
    const before = this.#entry;
    const refusal = await later;
    if (refusal) return this.#finishRefused(invocation, refusal);
    // Whoever left meanwhile is not billed for what nobody reads.
    if (invocation.cancelled) return this.release(invocation);
    // Only where its alias changed meanwhile: the gateway that it came from may have been shown a change that this one was not yet.
    if (routesOf(before, invocation.invokedArn) !== routesOf(this.#entry, invocation.invokedArn)) this.#follow(invocation);
    this.#accepted(invocation);
  }

  #accepted(invocation: Invocation): void {
    const runnable = runnableOf(this.#entry, invocation.version);
    if (!this.#owned) return void this.#giveAway(invocation);
    if (this.#settling.active) this.#hear();
    // Between the question to another gateway and its answer anything may have happened.
    if (!runnable || this.#closed) return void this.refuse(invocation, this.#refusal(invocation.version));
    this.#lane(invocation.version).submit(invocation, runnable);
  }

  /** The function, a version or an alias changed: environments of a former revision finish and go, none of them serves again. */
  update(entry: FunctionEntry): void {
    this.#entry = entry;
    for (const lane of this.#lanes.values()) {
      lane.update(runnableOf(entry, lane.version));
      if (this.#owned) lane.retireStale();
    }
    this.#followAliases();
    for (const lane of this.#lanes.values()) if (!lane.runnable) lane.refuseWaiting(this.#refusal(lane.version));
    this.#balance();
  }

  /** Who still waits for a version that an alias has left waits for the new one: nothing old is run long after the change. */
  #followAliases(): void {
    for (const lane of [...this.#lanes.values()])
      for (const invocation of lane.takeWaitingWho((waiting) => hasAliasLeft(this.#entry, waiting)))
        this.#waitAgain(invocation, (to) => to.append(invocation));
  }

  /** The function is gone. */
  close(): void {
    this.#closed = true;
    for (const lane of this.#lanes.values()) {
      lane.update(undefined);
      lane.refuseWaiting(this.#refusal(lane.version));
      for (const environment of lane.environments) if (environment.owned) environment.apply({ type: "retire", reason: "replaced" });
    }
    this.#admission.charge(this.#entry.key, false);
  }

  /**
   * The gateway became, or is no longer, the owner. Events that wait go to the new owner; those that run end here.
   * @param settleUntil monotonic milliseconds until which a former owner's events are waited for
   */
  setOwned(owned: boolean, settleUntil: number): void {
    if (this.#owned === owned) return;
    this.#owned = owned;
    if (owned) {
      this.#settling.begin(settleUntil);
      // At once, since the account's other functions must not be given what these may use.
      for (const environment of this.#laneOf.keys()) this.#missUnlessKnown(environment);
      this.#admission.charge(this.#entry.key, true);
    }
    for (const environment of this.#laneOf.keys()) environment.apply({ type: "owned", owned });
    if (owned) {
      for (const lane of this.#lanes.values()) lane.retireStale();
      this.#hear();
      return;
    }
    this.#admission.charge(this.#entry.key, false);
    for (const lane of this.#lanes.values()) for (const invocation of lane.takeWaiting()) this.#giveAway(invocation);
  }

  /** Time has passed. */
  tick(now: number): void {
    for (const environment of this.#laneOf.keys()) environment.tick(now);
    if (this.#owned) this.#hear();
    for (const lane of this.#lanes.values()) {
      if (this.#owned) this.#tickLane(lane, now);
      if (lane.isEmpty) this.#lanes.delete(lane.version);
    }
  }

  #tickLane(lane: Lane, now: number): void {
    lane.tick(now);
    for (const environment of lane.environments) if (environment.unschedulable) this.obstructed(environment);
    lane.pump();
  }

  /** A pod of this function entered the table. */
  add(environment: Environment): void {
    const lane = this.#lane(versionOf(environment.assignmentId ?? ""));
    this.#laneOf.set(environment, lane);
    lane.add(environment);
    this.#missUnlessKnown(environment);
    environment.attach(this, lane.isStale(environment) ? undefined : lane.runnable);
    // What its agent told was before this function heard.
    this.#admission.runsForeign(environment, environment.phase === "foreign");
    if (environment.phase === "idle") lane.offered(environment, this.#owned);
    else if (lane.isStale(environment) && environment.owned) environment.apply({ type: "retire", reason: "replaced" });
    this.#balance();
  }

  /** Takes in an environment that is this function's from now on. */
  adopt(environment: Environment, lane: Lane): void {
    this.#laneOf.set(environment, lane);
    lane.add(environment);
  }

  offered(environment: Environment): void {
    this.#laneFor(environment)?.offered(environment, this.#owned);
    this.#starter.roomCame();
  }

  withdrawn(environment: Environment): void {
    this.#laneFor(environment)?.withdrawn(environment);
  }

  requeued(environment: Environment, invocation: Invocation): void {
    if (isProvisioned(environment)) this.#metrics.provisioned(-1);
    if (!this.#owned) return void this.#giveAway(invocation);
    this.#waitAgain(invocation, (lane) => lane.requeue(invocation));
    this.#balance();
  }

  #waitAgain(invocation: Invocation, wait: (lane: Lane) => void): void {
    this.#follow(invocation);
    const lane = this.#lane(invocation.version);
    if (lane.runnable) wait(lane);
    else this.refuse(invocation, this.#refusal(invocation.version));
  }

  #follow(invocation: Invocation): void {
    invocation.version = versionNow(this.#entry, invocation, this.#deps.chance);
  }

  moved(environment: Environment, from: EnvironmentPhase): void {
    const { phase, connected } = environment;
    const before = this.#admission.others;
    if (from === "foreign" || phase === "foreign") this.#admission.runsForeign(environment, phase === "foreign");
    // Its former owner's event may go on without a connection.
    if (from === "foreign" && !connected && phase !== "gone") this.#admission.miss(environment);
    if (phase === "gone") this.#forget(environment);
    if (phase === "gone" || this.#admission.others !== before) this.#balance();
    this.#hear();
  }

  /** It is not this function's after all: an agent takes the first assignment that comes. */
  left(environment: Environment): void {
    this.#laneOf.get(environment)?.withdrawn(environment);
    this.#forget(environment);
    this.#balance();
  }

  #forget(environment: Environment): void {
    this.#admission.forget(environment);
    this.#laneOf.get(environment)?.delete(environment);
    this.#laneOf.delete(environment);
  }

  /** An agent has told what it does, knowing of this gateway's view. */
  epochAnswered(_environment: Environment): void {
    this.#hear();
  }

  /** No node has room for an environment. */
  obstructed(environment: Environment): void {
    if (this.active && this.#laneOf.get(environment)?.obstructed(environment)) this.#starter.makeRoomFor(environment);
  }

  started(environment: Environment, initDurationMs: number): void {
    const { metrics, clock } = this.#deps;
    const runtime = environment.runnable?.effective.runtime ?? "unknown";
    metrics.initDuration(runtime, initDurationMs / 1000);
    if (environment.wantedSince === undefined) return;
    const tookMs = clock.monotonic() - environment.wantedSince;
    metrics.coldStart(runtime, tookMs / 1000);
    if (!environment.pool) this.#laneOf.get(environment)?.started(tookMs);
  }

  run(environment: Environment, invocation: Invocation, runnable: Runnable): void {
    if (isProvisioned(environment)) this.#metrics.provisioned(1);
    environment.run(invocation, runnable.effective);
  }

  finished(environment: Environment, invocation: Invocation, used: Used | undefined): void {
    this.release(invocation);
    this.#countProvisioned(environment);
    if (!used) {
      this.#metrics.platformError();
      this.#deps.metrics.environmentFailed("connectionLost");
      return;
    }
    this.#laneOf.get(environment)?.ran(used.durationMs);
    this.#metrics.finished({
      durationMs: used.durationMs,
      billedMs: used.billedMs,
      memoryMb: environment.runnable?.effective.memorySize ?? 0,
      functionError: used.functionError !== undefined,
    });
    if (!invocation.waited)
      this.#deps.metrics.overhead(Math.max(0, this.#deps.clock.monotonic() - invocation.arrivedAt - used.durationMs) / 1000);
  }

  /** Once for each event: one that comes back has not run. */
  #countProvisioned(environment: Environment): void {
    if (isProvisioned(environment)) {
      this.#metrics.provisioned(-1);
      this.#metrics.ranProvisioned();
    } else if (this.#laneOf.get(environment)?.isProvisioned) this.#metrics.spilledOver();
  }

  startFailed(environment: Environment, failure: StartFailure): void {
    const lane = this.#laneFor(environment);
    if (!lane) return;
    tellFailedStart(environment, failure, { lane, host: this, deps: this.#deps, metrics: this.#metrics });
    lane.pump();
  }

  assignment(environment: Environment): Assignment | undefined {
    const { runnable, identity } = environment;
    const { region, lambdaEndpoint, clock, accountIdOf, credentialsFor, passFor, epoch } = this.#deps;
    const accountId = accountIdOf(this.#entry.namespace);
    if (!runnable || this.#closed || accountId === undefined || this.#laneOf.get(environment)?.isStale(environment)) return undefined;
    return assignmentFor({
      entry: this.#entry,
      runnable,
      functionArn: this.#arn(),
      region,
      accountId,
      now: clock.now(),
      podUid: identity.podUid,
      provisioned: isProvisioned(environment),
      credentials: credentialsFor(identity, roleOf(runnable.effective)),
      lambdaEndpoint,
      pass: passFor(identity.podUid, runnable.assignmentId),
      epoch: epoch(),
    });
  }

  isMissing(environment: Environment): boolean {
    return this.#admission.isMissing(environment);
  }

  start(lane: Lane, runnable: Runnable): boolean {
    return this.#starter.start(lane, runnable);
  }

  /** Ends an accepted event with an error. */
  refuse(invocation: Invocation, error: KappaError): void {
    this.release(invocation);
    this.#finishRefused(invocation, error);
  }

  throttleNewest(lane: Lane): void {
    const { reservedConcurrentExecutions: reserved } = this.#entry;
    const invocation = lane.takeNewest();
    if (!invocation) return;
    this.#metrics.throttled();
    this.refuse(
      invocation,
      throttled(reserved === undefined ? "ConcurrentInvocationLimitExceeded" : "ReservedFunctionConcurrentInvocationLimitExceeded"),
    );
  }

  release(invocation: Invocation): void {
    this.#admission.release(invocation);
  }

  #finishRefused(invocation: Invocation, error: KappaError): void {
    if ((error.entry.status ?? 500) >= 500) this.#metrics.platformError();
    invocation.finish({ type: "refused", error });
  }

  /** To whoever owns the function now. */
  #giveAway(invocation: Invocation): void {
    this.release(invocation);
    invocation.finish({ type: "notOwner" });
  }

  #lane(version: string): Lane {
    let lane = this.#lanes.get(version);
    if (!lane) {
      lane = new Lane(version, this.#closed ? undefined : runnableOf(this.#entry, version), this.#patience, this, this.#deps);
      this.#lanes.set(version, lane);
    }
    return lane;
  }

  /** Also of one that is gone and forgotten, while what that means is being heard. */
  #laneFor(environment: Environment): Lane | undefined {
    return this.#laneOf.get(environment) ?? this.#lanes.get(versionOf(environment.assignmentId ?? ""));
  }

  /** What an environment runs that another gateway may have given an event is not known before its agent has told it. */
  #missUnlessKnown(environment: Environment): void {
    if (!environment.answered(this.#deps.epoch())) this.#admission.miss(environment);
  }

  /** Who was missing has told what it does, or time has passed: a new owner's wait ends when nobody is missing, or it has lasted. */
  #hear(): void {
    const { missing } = this.#admission;
    const before = missing.size;
    if (before > 0) {
      const epoch = this.#deps.epoch();
      // One that was retired unheard ends what it runs and then is gone; of what it tells nothing is taken note any more.
      for (const environment of missing)
        if (environment.phase !== "retiring" && environment.answered(epoch)) this.#admission.found(environment);
    }
    const ended = this.#settling.end(this.#entry, missing.size);
    if (ended || missing.size < before) this.#balance();
  }

  /** Something changed that limits act on: who is too many is refused, the others get what there is. */
  #balance(): void {
    if (!this.#owned || this.#closed) return;
    this.#admission.charge(this.#entry.key, true);
    if (this.#settling.active) return;
    for (let over = this.#admission.over(this.#entry); over > 0; over--) {
      const lane = this.#newest();
      if (!lane) break;
      this.throttleNewest(lane);
    }
    for (const lane of this.#lanes.values()) lane.pump();
  }

  /** Where the caller waits who came last. */
  #newest(): Lane | undefined {
    let newest: Lane | undefined;
    const arrived = (lane: Lane | undefined) => lane?.waiting.at(-1)?.arrivedAt ?? Number.NEGATIVE_INFINITY;
    for (const lane of this.#lanes.values()) if (arrived(lane) > arrived(newest)) newest = lane;
    return newest;
  }

  #refusal(version: string): KappaError {
    return this.#closed ? notFound(this.#arn(), version) : refusalOf(this.#entry, version, this.#arn());
  }

  #arn(): string {
    const { namespace, functionName } = this.#entry;
    return functionArn({ region: this.#deps.region, accountId: this.#deps.accountIdOf(namespace) ?? "", functionName });
  }
}
