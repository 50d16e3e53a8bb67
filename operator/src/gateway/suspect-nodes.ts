import type { Clock } from "../kube/clock.ts";

/** How long a node that fell silent gets no new environments. Kubernetes itself notices after about 40 s. */
const SUSPECT_MS = 60_000;

/** Nodes whose agents or gateway stopped answering. */
export class SuspectNodes {
  readonly #clock: Clock;
  readonly #until = new Map<string, number>();
  readonly #heardAt = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  suspect(node: string | undefined): void {
    if (node !== undefined) this.#until.set(node, this.#clock.monotonic() + SUSPECT_MS);
  }

  /** Something on the node answered. */
  clear(node: string | undefined): void {
    if (node !== undefined && this.#until.size > 0) this.#until.delete(node);
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
    return node !== undefined && this.#until.size > 0 && this.current().includes(node);
  }

  /** The nodes under suspicion now. */
  current(): string[] {
    if (this.#until.size === 0) return [];
    const now = this.#clock.monotonic();
    for (const [node, until] of this.#until) if (until <= now) this.#until.delete(node);
    return [...this.#until.keys()];
  }
}
