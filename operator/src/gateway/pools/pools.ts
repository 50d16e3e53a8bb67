import { type PoolKey, poolName, poolText } from "../../domain/pool-key.ts";
import { DEMAND_MS, type PoolPolicy, poolTarget, shareOut } from "../../domain/pool-size.ts";
import type { Clock } from "../../kube/clock.ts";
import { KubeError } from "../../kube/errors.ts";
import type { PoolPodSize } from "../../resources/environment-pod.ts";
import { poolPodName } from "../../resources/names.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { PoolMetrics } from "../../telemetry/pool-metrics.ts";
import type { Environment, PoolKeeper, PoolOrigin, StartFailure } from "../environment.ts";
import type { EnvironmentPhase } from "../environment-state.ts";
import type { Environments } from "../environments.ts";
import { type FunctionEntry, type Runnable, runnableOf, versionOf } from "../function-entry.ts";
import type { FunctionRegistry } from "../function-registry.ts";
import type { PodWriter } from "../pod-writer.ts";
import type { PoolTaker } from "../pool-taker.ts";
import type { Random } from "../random.ts";
import type { SuspectNodes } from "../suspect-nodes.ts";
import { Pauses } from "./pauses.ts";
import { poolCounts } from "./pool-counts.ts";
import type { PoolUses, UsedPool } from "./pool-uses.ts";
import { type Pooled, refill } from "./refill.ts";

/** How often time is looked at. */
const TICK_MS = 1_000;
/** What replaces one that was taken starts when that one's cold start is over, with which it would share a processor. */
const AFTER_TAKE_MS = 50;
/** Random part of a pod's name, hexadecimal digits. */
const SUFFIX_LENGTH = 8;
/** Nothing is refilled for so long after a function needed the room of what was there. */
const NO_ROOM_MS = 30_000;
/** What is starting is waited for before more is made, but no longer than this: some never start, or never get warm. */
const GIVE_WAY_MS = 10_000;
/** An agent dials the gateway that made its pod first; without that one, and with a ticket, it has reached another one by then. */
const ORPHAN_MS = 5_000;
/** A function whose size was refused to an environment from a pool gets pods of its own for so long. */
const REFUSED_MS = 600_000;

/** What an installation keeps in pools. */
export interface PoolSettings extends PoolPolicy {
  size: PoolPodSize;
  /** Pods that one gateway lets start at a time. */
  starting: number;
}

export interface PoolsOptions {
  settings: PoolSettings;
  uses: PoolUses;
  registry: FunctionRegistry;
  environments: Pick<Environments, "all" | "adoptPooled" | "expectFirst" | "isKnownElsewhere">;
  pods: Pick<PodWriter, "createPooled" | "poolHash">;
  suspects: SuspectNodes;
  metrics: PoolMetrics;
  clock: Clock;
  random: Random;
  log: Logger;
  /** Name of this gateway. */
  self: string;
  /** Whether this gateway keeps the pools of an account, and knows what is there. */
  keeps(namespace: string): boolean;
  /** Whether a gateway lives. */
  lives(gateway: string): boolean;
  /** `host:port` of the gateways that an agent of this pool should dial, this one first. */
  addressesFor(namespace: string): string[];
}

/** Environments that wait for a function. Each account's pools are kept by one gateway; any gateway takes from them. */
export class Pools implements PoolTaker, PoolKeeper {
  readonly #options: PoolsOptions;
  /** Environments whose agent waits, by the name of their pool. */
  readonly #waiting = new Map<string, Set<Environment>>();
  readonly #creating = new Map<string, number>();
  readonly #pauses = new Pauses();
  /** Functions that take nothing from pools until then. */
  readonly #refused = new Map<string, number>();
  /** What is made now, by pool. */
  readonly #hashes = new Map<string, string | undefined>();
  /** Monotonic milliseconds since when this gateway keeps the pools of an account. */
  readonly #keptSince = new Map<string, number>();
  #noRoomUntil = Number.NEGATIVE_INFINITY;
  #targets: ReadonlyMap<string, number> = new Map();
  #cancel: (() => void) | undefined;
  #due = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(options: PoolsOptions) {
    this.#options = options;
    options.metrics.observe(() => poolCounts(this.#pooled(options.clock.monotonic()), this.#targets));
  }

  start(): void {
    this.#lookIn(TICK_MS);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  take(entry: FunctionEntry, runnable: Runnable): Environment | undefined {
    const { metrics, suspects } = this.#options;
    const key = this.#poolFor(entry, runnable);
    if (typeof key === "string") return undefined;
    const text = poolText(key);
    const waiting = this.#waiting.get(text);
    const hash = this.#hashOf(key, text);
    let best: Environment | undefined;
    for (const environment of waiting ?? []) {
      if (!WORTH[environment.pooled ?? "unknown"] || environment.pool?.hash !== hash || environment.terminating) continue;
      if (suspects.has(environment.nodeName)) continue;
      if (!best || WORTH[environment.pooled ?? "unknown"] > WORTH[best.pooled ?? "unknown"]) best = environment;
    }
    if (!best) return undefined;
    waiting?.delete(best);
    metrics.took(runnable.effective.runtime, best.pooled === "warm");
    this.#wanted(text);
    return best;
  }

  missed(entry: FunctionEntry, runnable: Runnable): void {
    const key = this.#poolFor(entry, runnable);
    this.#options.metrics.missed(runnable.effective.runtime, typeof key === "string" ? key : "empty");
    if (typeof key !== "string") this.#wanted(poolText(key));
  }

  /** The pool that a function takes from, or why it takes from none. */
  #poolFor({ namespace, uid }: FunctionEntry, runnable: Runnable): PoolKey | "unfit" | "refused" {
    const { uses, clock } = this.#options;
    const key = uses.keyOf(namespace, runnable);
    if (!key) return "unfit";
    return (this.#refused.get(uid) ?? 0) > clock.monotonic() ? "refused" : key;
  }

  #wanted(text: string): void {
    this.#options.uses.wanted(text);
    this.#lookIn(AFTER_TAKE_MS);
  }

  giveUpOne(namespace?: string): boolean {
    const { environments, clock } = this.#options;
    let last: Environment | undefined;
    for (const environment of environments.all()) {
      if (environment.pooled === undefined || !environment.owned || environment.phase === "retiring" || environment.phase === "gone")
        continue;
      if (namespace !== undefined && environment.identity.namespace !== namespace) continue;
      // What has not come far is missed least.
      if (!last || WORTH[environment.pooled] < WORTH[last.pooled ?? "unknown"]) last = environment;
    }
    if (!last) return false;
    this.#noRoomUntil = clock.monotonic() + NO_ROOM_MS;
    last.apply({ type: "retire", reason: "idle" });
    return true;
  }

  settled(entry: FunctionEntry, epoch: number): boolean {
    const { environments, uses } = this.#options;
    const pools = new Set<string>();
    for (const runnable of [entry.runnable, ...entry.versions.values()]) {
      const text = runnable && uses.textOf(entry.namespace, runnable);
      if (text !== undefined) pools.add(text);
    }
    for (const environment of environments.all()) {
      if (environment.pooled === undefined || !environment.pool || environment.phase === "retiring" || environment.phase === "gone")
        continue;
      if (!pools.has(textOf(environment, environment.pool))) continue;
      if (environments.isKnownElsewhere(environment) && !environment.answered(epoch)) return false;
    }
    return true;
  }

  /** A function's size is refused to one that came from a pool. */
  refuse(functionUid: string): void {
    this.#refused.set(functionUid, this.#options.clock.monotonic() + REFUSED_MS);
  }

  /** An environment was made or taken that another gateway wanted. */
  wantedElsewhere(environment: Environment): void {
    const text = this.#usedBy(environment);
    if (text !== undefined) this.#wanted(text);
  }

  moved(environment: Environment, from: EnvironmentPhase): void {
    if (!environment.pool) return;
    const text = textOf(environment, environment.pool);
    if (environment.phase === "pooled") {
      const waiting = this.#waiting.get(text) ?? new Set();
      this.#waiting.set(text, waiting.add(environment));
      this.#pauses.clear(text);
    } else if (from === "pooled") {
      const waiting = this.#waiting.get(text);
      waiting?.delete(environment);
      if (waiting?.size === 0) this.#waiting.delete(text);
    }
    if (environment.owned) this.#lookIn(AFTER_TAKE_MS);
  }

  startFailed(environment: Environment, failure: StartFailure): void {
    const { log } = this.#options;
    const detail = "detail" in failure ? failure.detail : failure.why;
    log.warn({ pod: environment.key, node: environment.nodeName, why: failure.why, detail }, "a pod of a pool did not start");
    if (environment.pool) this.#pause(textOf(environment, environment.pool), environment.madeAt);
  }

  /** Looks at the pools in so many milliseconds, or earlier. */
  #lookIn(ms: number): void {
    const { clock } = this.#options;
    const due = clock.monotonic() + ms;
    if (this.#stopped || due >= this.#due) return;
    this.#cancel?.();
    this.#due = due;
    this.#cancel = clock.setTimeout(() => {
      this.#due = Number.POSITIVE_INFINITY;
      this.#look();
      this.#lookIn(TICK_MS);
    }, ms);
  }

  #look(): void {
    const { uses, settings, clock, keeps } = this.#options;
    for (const environment of this.#options.environments.all()) {
      const text = environment.provisioned === undefined ? this.#usedBy(environment) : undefined;
      if (text !== undefined) uses.used(text);
    }
    const now = clock.monotonic();
    const targets = new Map<string, number>();
    const keys = new Map<string, PoolKey>();
    const byNamespace = uses.byNamespace();
    for (const [namespace, pools] of byNamespace) {
      if (!keeps(namespace)) {
        this.#keptSince.delete(namespace);
        continue;
      }
      if (!this.#keptSince.has(namespace)) this.#keptSince.set(namespace, now);
      for (const [text, target] of this.#targetsOf(pools, clock.now())) if (target > 0) targets.set(text, target);
      for (const [text, { key }] of pools) keys.set(text, key);
    }
    this.#forgetUnused(byNamespace);
    for (const [functionUid, until] of this.#refused) if (until <= now) this.#refused.delete(functionUid);
    const environments = this.#pooled(now);
    this.#keepFound(targets, environments, now);
    this.#targets = targets;
    const { retire, create } = refill({
      targets,
      environments,
      creating: this.#creating,
      paused: this.#pauses.current(now),
      starts: now < this.#noRoomUntil || this.#mustGiveWay(now) ? 0 : settings.starting - this.#startingOf(environments, now),
    });
    for (const { environment, why } of retire) {
      if (why === "noRoom" && environment.pool) this.#pause(textOf(environment, environment.pool), environment.madeAt);
      environment.apply({ type: "retire", reason: why === "surplus" ? "idle" : "replaced" });
    }
    for (const text of create) {
      const key = keys.get(text);
      if (key) void this.#create(key, text);
    }
  }

  /** Namespaces and functions come and go. */
  #forgetUnused(used: ReadonlyMap<string, ReadonlyMap<string, unknown>>): void {
    for (const namespace of this.#keptSince.keys()) if (!used.has(namespace)) this.#keptSince.delete(namespace);
    const texts = new Set([...used.values()].flatMap((pools) => [...pools.keys()]));
    for (const text of this.#hashes.keys()) if (!texts.has(text)) this.#hashes.delete(text);
  }

  /** What a former keeper made is what was in demand, which the new one has not seen. */
  #keepFound(targets: Map<string, number>, environments: readonly Pooled<Environment>[], now: number): void {
    const found = new Map<string, number>();
    for (const { environment, pool, current } of environments)
      if (current && now - (this.#keptSince.get(environment.identity.namespace) ?? now) < DEMAND_MS)
        found.set(pool, (found.get(pool) ?? 0) + 1);
    for (const [pool, target] of targets)
      targets.set(pool, Math.max(target, Math.min(found.get(pool) ?? 0, this.#options.settings.ceiling)));
  }

  #targetsOf(pools: ReadonlyMap<string, UsedPool>, now: number): Map<string, number> {
    const { settings } = this.#options;
    const wanted = new Map<string, { target: number; lastAt: number }>();
    for (const [text, { key, use }] of pools)
      if (this.#hashOf(key, text) !== undefined)
        wanted.set(text, { target: poolTarget(use, settings, now), lastAt: Math.max(use.usedAt ?? 0, use.changedAt) });
    return shareOut(wanted, settings);
  }

  /** The environments of the pools that this gateway keeps. */
  #pooled(now: number): Pooled<Environment>[] {
    const { environments, keeps } = this.#options;
    const pooled: Pooled<Environment>[] = [];
    for (const environment of environments.all()) {
      const { pool, phase, terminating } = environment;
      if (environment.pooled === undefined || !pool || phase === "retiring" || phase === "gone" || terminating) continue;
      if (!keeps(environment.identity.namespace)) continue;
      const text = textOf(environment, pool);
      pooled.push({
        environment,
        pool: text,
        // Of a pool that nobody uses it does not matter.
        current: !this.#hashes.has(text) || this.#hashes.get(text) === pool.hash,
        state: this.#stateOf(environment, pool, now),
        unschedulable: environment.unschedulable,
      });
    }
    return pooled;
  }

  #stateOf(environment: Environment, { madeBy }: PoolOrigin, now: number): Pooled<Environment>["state"] {
    if (environment.phase === "pooled") return environment.pooled === "warm" ? "warm" : "warming";
    return now - environment.since >= ORPHAN_MS && !this.#options.lives(madeBy) ? "dead" : "starting";
  }

  #startingOf(environments: readonly Pooled<Environment>[], now: number): number {
    let starting = 0;
    for (const { environment, state } of environments)
      if ((state === "starting" || state === "warming") && now - environment.since < GIVE_WAY_MS) starting++;
    for (const count of this.#creating.values()) starting += count;
    return starting;
  }

  /** Whether pods of functions are starting, for which somebody waits. */
  #mustGiveWay(now: number): boolean {
    for (const { phase, pooled, owned, since } of this.#options.environments.all())
      if (phase === "starting" && pooled === undefined && owned && now - since < GIVE_WAY_MS) return true;
    return false;
  }

  async #create(pool: PoolKey, text: string): Promise<void> {
    const { pods, environments, random, suspects, settings, self, addressesFor, log } = this.#options;
    const suffix = random.hex(SUFFIX_LENGTH);
    const since = this.#options.clock.monotonic();
    this.#creating.set(text, (this.#creating.get(text) ?? 0) + 1);
    const input = {
      pool,
      suffix,
      size: settings.size,
      madeBy: self,
      gatewayAddresses: addressesFor(pool.namespace),
      avoidNodes: suspects.current(),
    };
    const pod = { namespace: pool.namespace, podName: poolPodName(pool.runtime, suffix) };
    environments.expectFirst(pod, true);
    try {
      const identity = await pods.createPooled(input);
      environments.adoptPooled(identity, { name: poolName(pool), hash: this.#hashOf(pool, text) ?? "", madeBy: self });
    } catch (err) {
      environments.expectFirst(pod, false);
      log.warn({ err, pool: text }, "a pod of a pool could not be created");
      if (err instanceof KubeError && err.retryable) this.#pauses.away(text, this.#options.clock.monotonic());
      else this.#pause(text, since);
    } finally {
      const left = (this.#creating.get(text) ?? 1) - 1;
      if (left > 0) this.#creating.set(text, left);
      else this.#creating.delete(text);
    }
  }

  /** @param since monotonic milliseconds at which the pod was asked for */
  #pause(text: string, since: number): void {
    this.#pauses.failed(text, since, this.#options.clock.monotonic());
  }

  /** What pods of a pool are made from now; absent where no image has the runtime. */
  #hashOf(key: PoolKey, text: string): string | undefined {
    if (!this.#hashes.has(text)) this.#hashes.set(text, this.#options.pods.poolHash(key, this.#options.settings.size));
    return this.#hashes.get(text);
  }

  /** The pool that an environment of a function could have come from. */
  #usedBy(environment: Environment): string | undefined {
    const { registry, uses } = this.#options;
    const { functionUid, assignmentId } = environment;
    if (functionUid === undefined || assignmentId === undefined) return undefined;
    const entry = registry.byUid(functionUid);
    const runnable = environment.runnable ?? (entry && runnableOf(entry, versionOf(assignmentId)));
    return runnable && uses.textOf(environment.identity.namespace, runnable);
  }
}

/** Which is taken first, and given up last; 0: not to be taken. */
const WORTH = { unknown: 0, doubtful: 0, warming: 1, warm: 2 } as const;

/** The name of an environment's pool. */
function textOf({ identity }: Environment, { name }: PoolOrigin): string {
  return `pool/${identity.namespace}/${name}`;
}
