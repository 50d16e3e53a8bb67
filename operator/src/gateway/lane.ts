import { KappaError } from "../domain/errors.ts";
import type { Clock } from "../kube/clock.ts";
import type { Environment } from "./environment.ts";
import type { Runnable } from "./function-entry.ts";
import type { Invocation } from "./invocation.ts";
import { PATIENCE_MS, Patience } from "./patience.ts";
import type { SuspectNodes } from "./suspect-nodes.ts";

/** So many failed starts in a row, and the callers that wait hear of it. */
const MAX_START_FAILURES = 3;
/** A caller waits for so many starts at most. */
const WAIT_STARTS = 3;

export interface LaneDeps {
  clock: Clock;
  suspects: SuspectNodes;
  keepAliveMs: number;
  startTimeoutMs: number;
}

/** What a lane asks of its function. */
export interface LaneHost {
  /** Whether events may be handed out and environments be started now. */
  readonly active: boolean;
  /** Whether nobody knows what it runs. */
  isMissing(environment: Environment): boolean;
  run(environment: Environment, invocation: Invocation, runnable: Runnable): void;
  /** Starts an environment for a caller that waits, or ends a caller's waiting. False when neither is possible now. */
  start(lane: Lane, runnable: Runnable): boolean;
  /** A caller that waited is answered with an error, or is gone. */
  refuse(invocation: Invocation, error: KappaError): void;
  release(invocation: Invocation): void;
}

/**
 * One version of a function: its environments, and the events that wait for one. An event goes to an idle environment, else to the first
 * that becomes free, of those that run and of as many new ones as callers wait. Never to one of another version or revision.
 */
export class Lane {
  readonly version: string;
  readonly #deps: LaneDeps;
  readonly #host: LaneHost;
  #runnable: Runnable | undefined;
  readonly #environments = new Set<Environment>();
  /** Most recently used last: the others get old and are removed. */
  readonly #idle: Environment[] = [];
  /** Of provisioned concurrency: used first, and kept. */
  readonly #provisioned: Environment[] = [];
  readonly #waiting: Invocation[] = [];
  /** Pods being asked for. */
  creating = 0;
  #failures = 0;
  #failedAt = Number.NEGATIVE_INFINITY;
  #ignoreSuspectsUntil = 0;
  readonly #patience: Patience;
  #isPatient = false;

  /** @param ofFunction how long the function's events and starts take lately, whichever version's they are */
  constructor(version: string, runnable: Runnable | undefined, ofFunction: Patience, host: LaneHost, deps: LaneDeps) {
    this.version = version;
    this.#patience = new Patience(ofFunction);
    this.#runnable = runnable;
    this.#host = host;
    this.#deps = deps;
  }

  /** What its environments are made of; absent when it cannot be run (any more). */
  get runnable(): Runnable | undefined {
    return this.#runnable;
  }

  get waiting(): readonly Invocation[] {
    return this.#waiting;
  }

  /** Environments on demand that take events now, longest unused first. */
  get idle(): readonly Environment[] {
    return this.#idle;
  }

  get environments(): ReadonlySet<Environment> {
    return this.#environments;
  }

  /** Whether nothing would be lost with it. */
  get isEmpty(): boolean {
    return this.#environments.size === 0 && this.#waiting.length === 0 && this.creating === 0;
  }

  /** Whether some of its environments are kept for provisioned concurrency. */
  get isProvisioned(): boolean {
    for (const environment of this.#environments) if (isProvisioned(environment)) return true;
    return false;
  }

  /** Nodes that a new environment should not be placed on. */
  avoided(now: number): readonly string[] {
    return now < this.#ignoreSuspectsUntil ? [] : this.#deps.suspects.current();
  }

  isStale(environment: Environment): boolean {
    return environment.assignmentId !== this.#runnable?.assignmentId;
  }

  add(environment: Environment): void {
    this.#environments.add(environment);
  }

  delete(environment: Environment): void {
    this.#environments.delete(environment);
  }

  /** The version has something else to run, or nothing. Its own callers wait on where there is something. */
  update(runnable: Runnable | undefined): void {
    if (runnable?.assignmentId !== this.#runnable?.assignmentId) this.#failures = 0;
    this.#runnable = runnable;
  }

  /** None of a former revision serves again. */
  retireStale(): void {
    for (const environment of this.#environments) if (this.isStale(environment)) environment.apply({ type: "retire", reason: "replaced" });
  }

  /** Runs an event at once if an environment is idle, else lets it wait. */
  submit(invocation: Invocation, runnable: Runnable): void {
    const environment = this.#host.active && this.#waiting.length === 0 ? this.#takeIdle() : undefined;
    if (environment) return void this.#host.run(environment, invocation, runnable);
    invocation.waiting();
    this.#waiting.push(invocation);
    this.pump();
  }

  /** An event comes that waited for another version. */
  append(invocation: Invocation): void {
    this.#waiting.push(invocation);
  }

  /** An event comes back that had not begun: it is the next. */
  requeue(invocation: Invocation): void {
    invocation.waiting();
    this.#waiting.unshift(invocation);
  }

  /** An environment takes events now. @param owned whether it is ours to retire */
  offered(environment: Environment, owned: boolean): void {
    this.#failures = 0;
    this.#putIdle(environment);
    if (owned && (this.isStale(environment) || environment.oldAt <= this.#deps.clock.now()))
      environment.apply({ type: "retire", reason: "replaced" });
    else this.pump();
  }

  #putIdle(environment: Environment): void {
    (isProvisioned(environment) ? this.#provisioned : this.#idle).push(environment);
  }

  withdrawn(environment: Environment): void {
    for (const idle of [this.#idle, this.#provisioned]) {
      const index = idle.indexOf(environment);
      if (index >= 0) idle.splice(index, 1);
    }
  }

  /** Brings waiting events and environments together, and asks for environments that are still missing. */
  pump(): void {
    if (this.#waiting.length === 0 || !this.#host.active) return;
    const runnable = this.#runnable;
    if (!runnable) return;
    while (this.#waiting.length > 0) {
      const environment = this.#takeIdle();
      if (!environment) break;
      const invocation = this.nextWaiting();
      if (!invocation) {
        this.#putIdle(environment);
        break;
      }
      this.#host.run(environment, invocation, runnable);
    }
    const now = this.#deps.clock.monotonic();
    // Each start can end callers' waiting.
    for (let tries = this.#waiting.length - this.expected(now); tries > 0 && this.#waiting.length > this.expected(now); tries--)
      if (!this.#host.start(this, runnable)) return;
  }

  #takeIdle(): Environment | undefined {
    return this.#lastCurrent(this.#provisioned) ?? this.#lastCurrent(this.#idle);
  }

  #lastCurrent(idle: Environment[]): Environment | undefined {
    for (let i = idle.length - 1; i >= 0; i--) {
      const environment = idle[i];
      if (!environment || this.isStale(environment)) continue;
      idle.splice(i, 1);
      return environment;
    }
    return undefined;
  }

  /** The next caller that is still there. */
  nextWaiting(): Invocation | undefined {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      if (!next.cancelled) return next;
      this.#host.release(next);
    }
    return undefined;
  }

  /** The caller who came last does not wait any more. */
  takeNewest(): Invocation | undefined {
    return this.#waiting.pop();
  }

  /** Those of whom it is true wait here no longer. */
  takeWaitingWho(leaves: (invocation: Invocation) => boolean): Invocation[] {
    if (!this.#waiting.some(leaves)) return [];
    const waiting = this.takeWaiting();
    const { left = [], stay = [] } = Object.groupBy(waiting, (invocation) => (leaves(invocation) ? "left" : "stay"));
    this.#waiting.push(...stay);
    return left;
  }

  /** Nobody waits here any more. */
  takeWaiting(): Invocation[] {
    return this.#waiting.splice(0);
  }

  refuseWaiting(error: KappaError): void {
    for (const invocation of this.takeWaiting()) this.#host.refuse(invocation, error);
  }

  /** An event took so long, milliseconds. */
  ran(durationMs: number): void {
    this.#patience.ran(durationMs);
  }

  /** A pod of its own took so long until it could take events, milliseconds. */
  started(durationMs: number): void {
    this.#patience.started(durationMs);
  }

  /** Whether those who wait are served by what runs or is on its way about as soon as by pods that were made now. Asked again in a moment. */
  servesSoon(now: number): boolean {
    // Pods being asked for are as young as can be.
    const startingMs: number[] = Array(this.creating).fill(0);
    const busyMs: number[] = [];
    for (const environment of this.#environments)
      if (this.isExpected(environment, now)) startingMs.push(now - environment.since);
      else if (environment.phase === "busy" && !this.isStale(environment)) busyMs.push(now - environment.since);
    if (!this.#patience.areServedSoon({ callers: this.#waiting.length, startingMs, busyMs })) return false;
    if (!this.#isPatient) this.#deps.clock.setTimeout(() => this.#lookAgain(), PATIENCE_MS);
    this.#isPatient = true;
    return true;
  }

  #lookAgain(): void {
    this.#isPatient = false;
    this.pump();
  }

  /** Environments on their way: single flight per needed slot. */
  expected(now: number): number {
    let expected = this.creating;
    for (const environment of this.#environments) if (this.isExpected(environment, now)) expected++;
    return expected;
  }

  isExpected(environment: Environment, now: number): boolean {
    if (!environment.isExpected(now) || this.isStale(environment) || this.#host.isMissing(environment)) return false;
    // What was to start on a node that fell silent is not waited for.
    return environment.connected || !this.#deps.suspects.fellSilentAfter(environment.wantedSince, environment.nodeName);
  }

  /**
   * A start came to nothing.
   * @param since monotonic milliseconds at which it was begun: those of one burst that fail together are one failure
   */
  countFailure(since: number, error: KappaError): void {
    if (since < this.#failedAt) return;
    this.#failedAt = this.#deps.clock.monotonic();
    this.#failures = this.#waiting.length === 0 ? 0 : this.#failures + 1;
    if (this.#failures < MAX_START_FAILURES) return;
    this.#failures = 0;
    this.refuseWaiting(error);
  }

  /** No node has room for an environment. Says whether room has to be made for it. */
  obstructed(environment: Environment): boolean {
    if (!environment.unschedulable || environment.phase !== "starting" || isProvisioned(environment)) return false;
    const { clock, startTimeoutMs } = this.#deps;
    if (environment.avoidsNodes) {
      // Better a node that may be dead than none.
      this.#ignoreSuspectsUntil = clock.monotonic() + startTimeoutMs * WAIT_STARTS;
      environment.apply({ type: "retire", reason: "failed" });
      this.pump();
      return false;
    }
    if (this.#waiting.length > 0) return true;
    // Whoever it was for has been served meanwhile.
    environment.apply({ type: "retire", reason: "idle" });
    return false;
  }

  /** Time has passed, for an owner. */
  tick(now: number): void {
    for (let oldest = this.#idle[0]; oldest && now - oldest.since >= this.#deps.keepAliveMs; oldest = this.#idle[0])
      oldest.apply({ type: "retire", reason: "idle" });
    this.#retireOld(this.#idle);
    this.#retireOld(this.#provisioned);
    if (this.#waiting.length > 0) this.#dropOverdue(now);
  }

  /** What has not been used for a while would otherwise learn only by its next event that it is too old. */
  #retireOld(idle: Environment[]): void {
    const now = this.#deps.clock.now();
    // Backwards, since each one that goes leaves the list.
    for (let i = idle.length - 1; i >= 0; i--) {
      const environment = idle[i];
      if (environment && environment.oldAt <= now) environment.apply({ type: "retire", reason: "replaced" });
    }
  }

  #dropOverdue(now: number): void {
    const limit = this.#deps.startTimeoutMs * WAIT_STARTS;
    const obstacle = [...this.#environments].find((environment) => environment.obstacle !== undefined)?.obstacle;
    const detail = obstacle === undefined ? "" : `: ${obstacle}`;
    for (const invocation of [...this.#waiting]) {
      if (!invocation.cancelled && now - invocation.arrivedAt < limit) continue;
      this.#waiting.splice(this.#waiting.indexOf(invocation), 1);
      if (invocation.cancelled) this.#host.release(invocation);
      else
        this.#host.refuse(
          invocation,
          new KappaError("K106", `No execution environment became available in time${detail}. Retry the request.`),
        );
    }
  }
}

/** Whether an environment is kept for provisioned concurrency. */
export function isProvisioned(environment: Environment): boolean {
  return environment.provisioned !== undefined;
}
