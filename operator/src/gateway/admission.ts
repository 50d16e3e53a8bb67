import { KappaError } from "../domain/errors.ts";
import type { FunctionMetrics } from "../telemetry/gateway-metrics.ts";
import type { Environment } from "./environment.ts";
import type { FunctionEntry } from "./function-entry.ts";
import type { Invocation } from "./invocation.ts";

/** What is asked of the account. */
export interface Concurrency {
  /**
   * Counts one more execution.
   * @param running executions of the function now, before this one
   * @returns how to give it back; later where another gateway has to be asked
   * @throws KappaError K105 with Lambda's reason
   */
  acquire(entry: FunctionEntry, running: number): (() => void) | Promise<() => void>;
  /** Executions of the function that this gateway has not accepted and that may still run. */
  charge(key: string, foreign: number): void;
}

/**
 * How many of one function's events are under way, over all its versions: what this gateway has accepted, what environments run for a
 * former owner, and what may run in those that are not heard of.
 */
export class Admission {
  readonly #concurrency: Concurrency;
  readonly #metrics: FunctionMetrics;
  /** With the way to give its concurrency back. */
  readonly #accepted = new Map<Invocation, () => void>();
  /** Whose concurrency another gateway is being asked for. */
  #asking = 0;
  readonly #foreign = new Set<Environment>();
  readonly #missing = new Set<Environment>();
  #charged = 0;

  constructor(concurrency: Concurrency, metrics: FunctionMetrics) {
    this.#concurrency = concurrency;
    this.#metrics = metrics;
  }

  /** Events that this gateway has taken and not finished. */
  get inFlight(): number {
    return this.#accepted.size + this.#asking;
  }

  /** Executions that may be running of events which this gateway has not accepted. */
  get others(): number {
    let others = this.#foreign.size;
    for (const environment of this.#missing) if (!this.#foreign.has(environment)) others++;
    return others;
  }

  /** How many more are under way than the function may have. */
  over({ reservedConcurrentExecutions: limit = Number.POSITIVE_INFINITY }: FunctionEntry): number {
    return this.#accepted.size + this.others - limit;
  }

  /**
   * Accepts an event, now or later.
   * @returns why not, if it is not
   */
  admit(entry: FunctionEntry, invocation: Invocation): KappaError | undefined | Promise<KappaError | undefined> {
    let acquired: (() => void) | Promise<() => void>;
    try {
      acquired = this.#concurrency.acquire(entry, this.inFlight + this.others);
    } catch (error) {
      return this.#refusal(error);
    }
    if (acquired instanceof Promise) return this.#admitLater(invocation, acquired);
    this.#accept(invocation, acquired);
    return undefined;
  }

  async #admitLater(invocation: Invocation, acquired: Promise<() => void>): Promise<KappaError | undefined> {
    this.#asking++;
    try {
      this.#accept(invocation, await acquired);
      return undefined;
    } catch (error) {
      return this.#refusal(error);
    } finally {
      this.#asking--;
    }
  }

  #accept(invocation: Invocation, release: () => void): void {
    this.#accepted.set(invocation, release);
    this.#metrics.concurrent(this.#accepted.size);
  }

  #refusal(error: unknown): KappaError {
    if (!(error instanceof KappaError)) throw error;
    if (error.code === "K105") this.#metrics.throttled();
    return error;
  }

  /** An event is over, or goes elsewhere. */
  release(invocation: Invocation): void {
    const release = this.#accepted.get(invocation);
    if (!release) return;
    this.#accepted.delete(invocation);
    release();
    this.#metrics.concurrent(this.#accepted.size);
  }

  /** An environment runs an event of another gateway, or does so no more. */
  runsForeign(environment: Environment, runs: boolean): void {
    if (runs) this.#foreign.add(environment);
    else this.#foreign.delete(environment);
  }

  isMissing(environment: Environment): boolean {
    return this.#missing.has(environment);
  }

  /** Environments of which nobody knows what they run. */
  get missing(): ReadonlySet<Environment> {
    return this.#missing;
  }

  /** Nobody knows what an environment runs. */
  miss(environment: Environment): void {
    this.#missing.add(environment);
  }

  /** It is heard of again. */
  found(environment: Environment): void {
    this.#missing.delete(environment);
  }

  /** It is gone, or another function's. */
  forget(environment: Environment): void {
    this.#missing.delete(environment);
    this.#foreign.delete(environment);
  }

  /** Tells the account what runs beside the accepted events. @param owned only the owner answers for it */
  charge(key: string, owned: boolean): void {
    const others = owned ? this.others : 0;
    if (others === this.#charged) return;
    this.#charged = others;
    this.#concurrency.charge(key, others);
  }
}
