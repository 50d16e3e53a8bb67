import type { KubeClient } from "./client.ts";
import { type Clock, sleep, systemClock } from "./clock.ts";
import { KubeError } from "./errors.ts";
import { type KubeObject, Resources } from "./objects.ts";

export interface LeaderElectorOptions {
  client: KubeClient;
  namespace: string;
  /** Name of the Lease. */
  name: string;
  /** Unique among the candidates: the pod's name. */
  identity: string;
  /** Called when this candidate becomes the leader. */
  onStartedLeading?: (() => void) | undefined;
  /** Called when it no longer is, at once and before anybody else can be: after `stop`, or because the lease could not be renewed. */
  onStoppedLeading?: ((reason: "stopped" | "lost") => void) | undefined;
  /** Told of failures that are retried. */
  onError?: ((error: unknown) => void) | undefined;
  /** How long others wait after the last renewal that they saw. Default 15,000. */
  leaseDurationMs?: number | undefined;
  /** How long the leader tries to renew before it gives up. Default 10,000; less than the lease's duration. */
  renewDeadlineMs?: number | undefined;
  /** Interval of tries. Default 2,000. */
  retryPeriodMs?: number | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

interface Lease extends KubeObject {
  spec?: {
    holderIdentity?: string;
    leaseDurationSeconds?: number;
    acquireTime?: string;
    renewTime?: string;
    leaseTransitions?: number;
  };
}

/**
 * One leader among several processes, by a Lease (the algorithm and the defaults of client-go's leaderelection). Times of other machines
 * are never compared: a candidate counts from when it itself saw the Lease change, by a clock that does not jump.
 */
export class LeaderElector {
  #options: LeaderElectorOptions;
  #clock: Clock;
  #random: () => number;
  #leaseDurationMs: number;
  #renewDeadlineMs: number;
  #retryPeriodMs: number;
  #stopping = new AbortController();
  #loop: Promise<void> | undefined;
  /** The Lease as last seen and when it was seen to change. */
  #observed: { lease: Lease; at: number } | undefined;
  /** Until when leadership is certain; undefined when not leading. */
  #leadingUntil: number | undefined;
  #cancelExpiry = () => {};

  constructor(options: LeaderElectorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#leaseDurationMs = options.leaseDurationMs ?? 15_000;
    this.#renewDeadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryPeriodMs = options.retryPeriodMs ?? 2_000;
    if (this.#renewDeadlineMs >= this.#leaseDurationMs) throw new RangeError("renewDeadlineMs must be less than leaseDurationMs");
  }

  /** Whether this process may act as the leader now. True even in the moment of asking: no other candidate can be. */
  get isLeader(): boolean {
    return this.#leadingUntil !== undefined && this.#clock.monotonic() < this.#leadingUntil;
  }

  /** Who held the Lease when it was last seen. */
  get holder(): string | undefined {
    return this.#observed?.lease.spec?.holderIdentity || undefined;
  }

  /** Begins to campaign; after a loss it goes on campaigning. */
  start(): void {
    this.#loop ??= this.#campaign();
  }

  /** Steps down: calls `onStoppedLeading`, then releases the Lease so that another takes over at once. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    const led = this.#leadingUntil !== undefined;
    this.#stepDown("stopped");
    if (led) await this.#release();
  }

  async #campaign(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const start = this.#clock.monotonic();
      try {
        if (await this.#acquireOrRenew()) this.#lead(start);
        else if (this.#leadingUntil !== undefined) this.#stepDown("lost");
      } catch (error) {
        if (!signal.aborted) this.#options.onError?.(error);
      }
      // Candidates spread out, or they would all write in the same instant after a release.
      const jitter = this.#leadingUntil === undefined ? 1 + 0.2 * this.#random() : 1;
      await sleep(this.#clock, this.#retryPeriodMs * jitter, signal);
    }
  }

  #lead(renewedAt: number): void {
    // Counted from before the request: others may have seen the renewal that early.
    const until = renewedAt + this.#renewDeadlineMs;
    const left = until - this.#clock.monotonic();
    this.#cancelExpiry();
    if (left <= 0 || this.#stopping.signal.aborted) return;
    const started = this.#leadingUntil === undefined;
    this.#leadingUntil = until;
    this.#cancelExpiry = this.#clock.setTimeout(() => this.#stepDown("lost"), left);
    if (started) this.#options.onStartedLeading?.();
  }

  #stepDown(reason: "stopped" | "lost"): void {
    this.#cancelExpiry();
    if (this.#leadingUntil === undefined) return;
    this.#leadingUntil = undefined;
    this.#options.onStoppedLeading?.(reason);
  }

  /** @returns whether the Lease is ours now */
  async #acquireOrRenew(): Promise<boolean> {
    const { client, namespace, name, identity } = this.#options;
    const call = { timeoutMs: this.#renewDeadlineMs / 2 };
    const current = await client.get<Lease>(Resources.lease, { namespace, name }, call);
    if (!current) return this.#write(() => client.create(Resources.lease, this.#lease(undefined), call));
    this.#observe(current);
    const holder = current.spec?.holderIdentity;
    if (holder && holder !== identity && this.#stillHeld(current)) return false;
    return this.#write(() => client.update(Resources.lease, this.#lease(current), call));
  }

  #observe(lease: Lease): void {
    if (this.#observed?.lease.metadata.resourceVersion !== lease.metadata.resourceVersion)
      this.#observed = { lease, at: this.#clock.monotonic() };
  }

  #stillHeld(lease: Lease): boolean {
    // The holder's own duration, or ours if it is longer: candidates of two releases with different settings must not disagree.
    const duration = Math.max(this.#leaseDurationMs, (lease.spec?.leaseDurationSeconds ?? 0) * 1000);
    return this.#observed !== undefined && this.#clock.monotonic() < this.#observed.at + duration;
  }

  /** Writes guarded by the resource version: of two candidates one gets a conflict. */
  async #write(send: () => Promise<Lease>): Promise<boolean> {
    try {
      this.#observe(await send());
      return true;
    } catch (error) {
      if (error instanceof KubeError && (error.conflict || error.alreadyExists)) return false;
      throw error;
    }
  }

  #lease(current: Lease | undefined): Lease {
    const { namespace, name, identity } = this.#options;
    const now = microTime(this.#clock.now());
    const renewal = current?.spec?.holderIdentity === identity;
    const transitions = current?.spec?.leaseTransitions ?? 0;
    return {
      apiVersion: Resources.lease.apiVersion,
      kind: Resources.lease.kind,
      metadata: current?.metadata ?? { namespace, name },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(this.#leaseDurationMs / 1000),
        acquireTime: (renewal ? current?.spec?.acquireTime : undefined) ?? now,
        renewTime: now,
        leaseTransitions: current === undefined || renewal ? transitions : transitions + 1,
      },
    };
  }

  async #release(): Promise<void> {
    const current = this.#observed?.lease;
    if (current?.spec?.holderIdentity !== this.#options.identity) return;
    const now = microTime(this.#clock.now());
    try {
      await this.#options.client.update<Lease>(
        Resources.lease,
        { ...current, spec: { ...current.spec, holderIdentity: "", leaseDurationSeconds: 1, renewTime: now, acquireTime: now } },
        { timeoutMs: this.#retryPeriodMs },
      );
    } catch (error) {
      // Not released: the others wait for it to expire.
      this.#options.onError?.(error);
    }
  }
}

/** Kubernetes' MicroTime: exactly six digits after the point. */
export function microTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace("Z", "000Z");
}
