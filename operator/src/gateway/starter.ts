import { KappaError } from "../domain/errors.ts";
import { SCALE_OUT, TokenBucket } from "../domain/rate-limit.ts";
import type { Clock } from "../kube/clock.ts";
import { KubeError } from "../kube/errors.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Environment, EnvironmentHost, EnvironmentIdentity } from "./environment.ts";
import type { FunctionEntry, Runnable } from "./function-entry.ts";
import { isProvisioned, type Lane, type LaneHost } from "./lane.ts";
import type { PodWriter } from "./pod-writer.ts";
import type { PoolTaker } from "./pool-taker.ts";

/** Pods of one function being asked for at once: enough for a burst, few enough that those no longer needed are not asked for. */
const MAX_CREATING = 25;
/** Pause after pods could not be asked for. */
const CREATE_PAUSE_MS = 1_000;
/** Pause after a quota stood in the way and an environment was given up for it: a pod is gone about a second later. */
const QUOTA_PAUSE_MS = 250;
/** Room that was made has come by then, or was not enough. */
const ROOM_AGAIN_MS = 2_000;

export interface StarterDeps {
  clock: Clock;
  log: Logger;
  metrics: GatewayMetrics;
  pods: Pick<PodWriter, "create">;
  pools: PoolTaker;
  /** Puts a pod that was just made into the table; if the watch was quicker, what it put there. */
  adopt(identity: EnvironmentIdentity, runnable: Runnable, wanted: { since: number; avoidsNodes: boolean }): Environment;
  /**
   * Gives up what is needed least, of whichever function.
   * @param namespace only room in this namespace is of use
   * @returns whether there was anything
   */
  makeRoom(namespace?: string): Promise<boolean>;
}

/** The function that environments are started for. */
export interface StarterHost extends EnvironmentHost, Pick<LaneHost, "isMissing"> {
  readonly entry: FunctionEntry;
  readonly lanes: Iterable<Lane>;
  adopt(environment: Environment, lane: Lane): void;
  /** The function may not have more environments so soon: the caller who came last does not get one. */
  throttleNewest(lane: Lane): void;
}

/** Starts one function's environments: from the pool, else as pods of their own; and makes room where there is none. */
export class Starter {
  readonly #host: StarterHost;
  readonly #deps: StarterDeps;
  readonly #scaleOut: TokenBucket;
  #creating = 0;
  #createNotBefore = 0;
  /** Some lane waits until the limit, which the environments of others fill, has room for one of its own. */
  #starved = false;
  /** When room was made for a pod that finds no node, monotonic milliseconds. */
  readonly #roomMadeAt = new WeakMap<Environment, number>();
  /** Pods that room was made for in the namespace's quota and that are not there yet. */
  #quotaRoom = { pods: 0, at: Number.NEGATIVE_INFINITY };

  constructor(host: StarterHost, deps: StarterDeps) {
    this.#host = host;
    this.#deps = deps;
    this.#scaleOut = new TokenBucket({ ...SCALE_OUT, now: deps.clock.monotonic() });
  }

  /** See {@link LaneHost.start}. */
  start(lane: Lane, runnable: Runnable): boolean {
    const now = this.#deps.clock.monotonic();
    const servesSoon = lane.servesSoon(now);
    if (!this.#fitsLimit(lane, now, servesSoon)) {
      this.#starved = true;
      return false;
    }
    if (this.#scaleOut.waitMs(now) > 0) {
      if (servesSoon) return false;
      this.#host.throttleNewest(lane);
      return true;
    }
    const pooled = this.#deps.pools.take(this.#host.entry, runnable);
    if (pooled) {
      this.#host.adopt(pooled, lane);
      pooled.become(this.#host, runnable, now);
    } else {
      if (servesSoon || now < this.#createNotBefore || this.#creating >= MAX_CREATING) return false;
      void this.#create(lane, runnable);
    }
    this.#scaleOut.take(now);
    return true;
  }

  /** An environment became free or went. */
  roomCame(): void {
    if (!this.#starved) return;
    this.#starved = false;
    for (const lane of this.#host.lanes) lane.pump();
  }

  /**
   * Never more environments than events may run at once, whatever versions they are of: one that no caller needs makes place. Those of
   * provisioned concurrency are there anyway.
   */
  #fitsLimit(wanting: Lane, now: number, servesSoon: boolean): boolean {
    const { reservedConcurrentExecutions: limit } = this.#host.entry;
    if (limit === undefined) return true;
    let alive = this.#creating;
    for (const lane of this.#host.lanes) for (const environment of lane.environments) if (isAlive(environment)) alive++;
    if (alive < limit) return true;
    if (servesSoon) return false;
    const spare = this.#spare(wanting, now);
    spare?.apply({ type: "retire", reason: "idle" });
    return spare !== undefined;
  }

  /** Of the idle ones the one that was used longest ago, else one that is on its way to nobody. */
  #spare(wanting: Lane, now: number): Environment | undefined {
    let spare: Environment | undefined;
    for (const { idle } of this.#host.lanes) if (idle[0] && (!spare || idle[0].since < spare.since)) spare = idle[0];
    if (spare) return spare;
    for (const lane of this.#host.lanes) {
      const needed = lane === wanting || lane.expected(now) <= lane.waiting.length;
      for (const environment of lane.environments) {
        if (environment.phase !== "starting" && environment.phase !== "assigning") continue;
        if (isProvisioned(environment) || this.#host.isMissing(environment)) continue;
        // What is not counted on any more has no caller either.
        if (!needed || !lane.isExpected(environment, now)) return environment;
      }
    }
    return undefined;
  }

  async #create(lane: Lane, runnable: Runnable): Promise<void> {
    const { clock, pods } = this.#deps;
    const since = clock.monotonic();
    const avoid = lane.avoided(since);
    this.#creating++;
    lane.creating++;
    let environment: Environment;
    try {
      const identity = await pods.create(this.#host.entry, runnable, avoid);
      environment = this.#deps.adopt(identity, runnable, { since, avoidsNodes: avoid.length > 0 });
    } catch (error) {
      this.#creating--;
      lane.creating--;
      this.#createFailed(lane, error);
      return;
    }
    this.#creating--;
    lane.creating--;
    this.#deps.pools.missed(this.#host.entry, runnable);
    if (this.#quotaRoom.pods > 0) this.#quotaRoom.pods--;
    if (lane.isStale(environment)) environment.apply({ type: "retire", reason: "replaced" });
    lane.pump();
  }

  #createFailed(lane: Lane, error: unknown): void {
    const { log, clock, metrics } = this.#deps;
    metrics.environmentFailed("podCreate");
    log.error({ err: error, function: this.#host.entry.key }, "the pod of an environment could not be created");
    this.#createNotBefore = clock.monotonic() + CREATE_PAUSE_MS;
    // While the API server is away callers wait for an environment to become free, or for it to come back.
    if (error instanceof KubeError && error.retryable) return;
    if (isQuota(error)) void this.#makeRoomInQuota(lane, error);
    else lane.refuseWaiting(notStarted(error));
  }

  /** The namespace may hold no more: something else of it goes, once for each pod that is needed. */
  async #makeRoomInQuota(lane: Lane, error: unknown): Promise<void> {
    const { clock, makeRoom } = this.#deps;
    const now = clock.monotonic();
    if (now - this.#quotaRoom.at >= ROOM_AGAIN_MS) this.#quotaRoom.pods = 0;
    const needed = lane.waiting.length - lane.expected(now);
    if (this.#quotaRoom.pods < needed) {
      this.#quotaRoom = { pods: this.#quotaRoom.pods + 1, at: now };
      if (!(await makeRoom(this.#host.entry.namespace))) {
        this.#quotaRoom.pods = 0;
        // Those who run may be done before the callers' patience is.
        if (lane.environments.size === 0) lane.refuseWaiting(notStarted(error));
        return;
      }
    }
    this.#createNotBefore = clock.monotonic() + QUOTA_PAUSE_MS;
    clock.setTimeout(() => lane.pump(), QUOTA_PAUSE_MS);
  }

  /** No node has room for a pod: once for each, and again when that was not enough. */
  makeRoomFor(environment: Environment): void {
    const now = this.#deps.clock.monotonic();
    if (now - (this.#roomMadeAt.get(environment) ?? Number.NEGATIVE_INFINITY) < ROOM_AGAIN_MS) return;
    this.#roomMadeAt.set(environment, now);
    void this.#deps.makeRoom();
  }
}

function isAlive(environment: Environment): boolean {
  switch (environment.phase) {
    case "gone":
    case "retiring":
      return false;
    case "busy":
    case "foreign":
    case "lost":
      return true;
    default:
      return !isProvisioned(environment);
  }
}

/** Admission's words (kubernetes/apiserver, plugin resourcequota): `exceeded quota: NAME, requested: …`. */
function isQuota(error: unknown): boolean {
  return error instanceof KubeError && error.status === 403 && error.message.includes("exceeded quota");
}

function notStarted(error: unknown): KappaError {
  if (error instanceof KappaError && error.code === "K114") return error;
  const detail = error instanceof KubeError ? error.message : "an internal error occurred";
  return new KappaError("K106", `No execution environment could be started: ${detail}`, { cause: error });
}
