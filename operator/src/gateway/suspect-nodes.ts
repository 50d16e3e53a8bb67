import type { Clock } from "../kube/clock.ts";

/** How long a node that fell silent gets no new environments. Kubernetes itself notices after about 40 s. */
const SUSPECT_MS = 60_000;

/** Nodes whose agents or gateway stopped answering. */
export class SuspectNodes {
  readonly #clock: Clock;
  /** Monotonic milliseconds. */
  readonly #suspected = new Map<string, { since: number; until: number }>();
  readonly #heardAt = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  suspect(node: string | undefined): void {
    if (node === undefined) return;
    const now = this.#clock.monotonic();
    this.#suspected.set(node, { since: this.#current(node)?.since ?? now, until: now + SUSPECT_MS });
  }

  /** Something on the node answered. */
  clear(node: string | undefined): void {
    if (node !== undefined && this.#suspected.size > 0) this.#suspected.delete(node);
  }

  /** The node did something. That alone does not lift a suspicion. */
  heard(node: string | undefined): void {
    if (node === undefined) return;
    const now = this.#clock.monotonic();
    // Nodes go for good, too.
    if (!this.#heardAt.has(node)) for (const [other, at] of this.#heardAt) if (now - at > SUSPECT_MS) this.#heardAt.delete(other);
    this.#heardAt.set(node, now);
  }

  /** Milliseconds since the node was last heard of. */
  quietFor(node: string): number {
    return this.#clock.monotonic() - (this.#heardAt.get(node) ?? Number.NEGATIVE_INFINITY);
  }

  has(node: string | undefined): boolean {
    return this.#current(node) !== undefined;
  }

  /**
   * Whether it is under suspicion now, and was not when a pod was wanted: one that was wanted later is there for want of another node.
   * @param wantedSince monotonic milliseconds; absent where whoever made the pod may not have known of the suspicion
   */
  fellSilentAfter(wantedSince: number | undefined, node: string | undefined): boolean {
    const suspicion = this.#current(node);
    return suspicion !== undefined && (wantedSince === undefined || suspicion.since > wantedSince);
  }

  /** The nodes under suspicion now. */
  current(): string[] {
    if (this.#suspected.size === 0) return [];
    const now = this.#clock.monotonic();
    for (const [node, { until }] of this.#suspected) if (until <= now) this.#suspected.delete(node);
    return [...this.#suspected.keys()];
  }

  #current(node: string | undefined): { since: number; until: number } | undefined {
    const suspicion = node === undefined ? undefined : this.#suspected.get(node);
    return suspicion && suspicion.until > this.#clock.monotonic() ? suspicion : undefined;
  }
}
