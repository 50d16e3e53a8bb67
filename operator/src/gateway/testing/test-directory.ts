import type { PeerCandidate, PeerDirectory } from "../peer-directory.ts";

/** The gateways of a test, listed without EndpointSlices, whose addresses may not be loopback. */
export class TestDirectory implements PeerDirectory {
  #candidates: PeerCandidate[] = [];
  readonly #subscribers = new Set<() => void>();

  replace(candidates: PeerCandidate[]): void {
    this.#candidates = candidates;
    for (const told of this.#subscribers) told();
  }

  start(): void {}

  async stop(): Promise<void> {}

  async synced(): Promise<void> {}

  candidates(): PeerCandidate[] {
    return this.#candidates;
  }

  subscribe(changed: () => void): void {
    this.#subscribers.add(changed);
  }
}
