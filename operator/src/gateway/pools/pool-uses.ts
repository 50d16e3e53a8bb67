import { type PoolKey, type PoolLimits, poolKeyOf, poolText } from "../../domain/pool-key.ts";
import { DEMAND_MS, type PoolUse } from "../../domain/pool-size.ts";
import type { Clock } from "../../kube/clock.ts";
import { PUBLIC_PLACEMENT } from "../../resources/labels.ts";
import type { FunctionEntry, Runnable } from "../function-entry.ts";
import type { FunctionRegistry } from "../function-registry.ts";

/** A pool that functions of an account could come from, and the demand for it. */
export interface UsedPool {
  readonly key: PoolKey;
  readonly use: PoolUse;
}

/** What is noted of a pool. Epoch milliseconds. */
interface Demand {
  changedAt: number;
  usedAt: number | undefined;
  wantedAt: number[];
}

/** Times beyond this many say nothing more: no ceiling is that high. */
const MAX_TIMES = 1_000;

/** Which pools the functions of each account could come from, and how much they are in demand. */
export class PoolUses {
  readonly #registry: FunctionRegistry;
  readonly #clock: Clock;
  readonly #limits: PoolLimits;
  readonly #keys = new WeakMap<Runnable, { namespace: string; key: PoolKey | undefined; text: string | undefined }>();
  /** What each function could run last, by its key. */
  readonly #runnables = new Map<string, ReadonlySet<string>>();
  readonly #changed = new Set<string>();
  readonly #demand = new Map<string, Demand>();

  constructor(registry: FunctionRegistry, clock: Clock, limits: PoolLimits) {
    this.#registry = registry;
    this.#clock = clock;
    this.#limits = limits;
    registry.subscribe((key) => this.#changed.add(key));
  }

  /** The pool that an environment can come from; absent when it needs a pod of its own. */
  keyOf(namespace: string, runnable: Runnable): PoolKey | undefined {
    return this.#known(namespace, runnable).key;
  }

  /** Its name. */
  textOf(namespace: string, runnable: Runnable): string | undefined {
    return this.#known(namespace, runnable).text;
  }

  #known(namespace: string, runnable: Runnable) {
    let known = this.#keys.get(runnable);
    if (!known || known.namespace !== namespace) {
      const key = poolKeyOf({ namespace, placement: PUBLIC_PLACEMENT, effective: runnable.effective }, this.#limits);
      known = { namespace, key, text: key && poolText(key) };
      this.#keys.set(runnable, known);
    }
    return known;
  }

  /** An environment was taken from the pool, or a pod was made that it had none for: once for each. */
  wanted(text: string): void {
    const now = this.#clock.now();
    const demand = this.#demandOf(text);
    while (demand.wantedAt.length >= MAX_TIMES || now - (demand.wantedAt[0] ?? now) >= DEMAND_MS) demand.wantedAt.shift();
    demand.wantedAt.push(now);
    demand.usedAt = now;
  }

  /** An environment that would fit the pool is there. */
  used(text: string): void {
    this.#demandOf(text).usedAt = this.#clock.now();
  }

  /** The pools that functions could come from, by account. */
  byNamespace(): Map<string, Map<string, UsedPool>> {
    this.#takeNote();
    const pools = new Map<string, Map<string, UsedPool>>();
    const seen = new Set<string>();
    for (const entry of this.#registry.entries())
      for (const runnable of runnablesOf(entry)) {
        const { key, text } = this.#known(entry.namespace, runnable);
        if (!key || text === undefined || seen.has(text)) continue;
        seen.add(text);
        const ofAccount = pools.get(entry.namespace) ?? new Map<string, UsedPool>();
        ofAccount.set(text, { key, use: this.#demandOf(text) });
        pools.set(entry.namespace, ofAccount);
      }
    for (const text of this.#demand.keys()) if (!seen.has(text)) this.#demand.delete(text);
    return pools;
  }

  /** What was added to functions, or changed, since the last time. */
  #takeNote(): void {
    for (const functionKey of this.#changed) {
      const entry = this.#registry.byKey(functionKey);
      const former = this.#runnables.get(functionKey);
      if (!entry) {
        this.#runnables.delete(functionKey);
        continue;
      }
      const ids = new Set<string>();
      for (const runnable of runnablesOf(entry)) {
        ids.add(runnable.assignmentId);
        const { text } = this.#known(entry.namespace, runnable);
        if (text === undefined || former?.has(runnable.assignmentId)) continue;
        // Of what this process sees for the first time it is known only when the function was made.
        const at = former ? this.#clock.now() : Date.parse(entry.created);
        const demand = this.#demandOf(text);
        if (at > demand.changedAt) demand.changedAt = at;
      }
      this.#runnables.set(functionKey, ids);
    }
    this.#changed.clear();
  }

  #demandOf(text: string): Demand {
    let demand = this.#demand.get(text);
    if (!demand) {
      demand = { changedAt: 0, usedAt: undefined, wantedAt: [] };
      this.#demand.set(text, demand);
    }
    return demand;
  }
}

/** All that can be run of a function. */
function* runnablesOf(entry: FunctionEntry): Generator<Runnable> {
  if (entry.runnable) yield entry.runnable;
  yield* entry.versions.values();
}
