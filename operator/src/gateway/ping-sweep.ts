import type { Clock } from "../kube/clock.ts";

export interface PingSweepOptions {
  clock: Clock;
  /** Silence after which the other side is asked. */
  pingMs: number;
  /** Silence after which it is given up. */
  silentMs: number;
}

/** One connection under watch. */
export interface Liveness {
  /** Something came. */
  seen(): void;
  remove(): void;
}

interface Watched {
  seenAt: number;
  ping: () => void;
  lost: () => void;
}

/** A tick so much later than planned means that this process did not run; silence meanwhile says nothing of the others. */
const LATE_FACTOR = 2;

/** Asks silent connections and gives up those that stay silent, all from one timer. */
export class PingSweep {
  readonly #options: PingSweepOptions;
  readonly #watched = new Set<Watched>();
  #lastTick = 0;
  #cancel: (() => void) | undefined;

  constructor(options: PingSweepOptions) {
    this.#options = options;
  }

  start(): void {
    this.#lastTick = this.#options.clock.monotonic();
    this.#schedule();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Watches a connection from now on. `lost` is called once, and the connection is no longer watched then. */
  add(ping: () => void, lost: () => void): Liveness {
    const watched: Watched = { seenAt: this.#options.clock.monotonic(), ping, lost };
    this.#watched.add(watched);
    return {
      seen: () => {
        watched.seenAt = this.#options.clock.monotonic();
      },
      remove: () => this.#watched.delete(watched),
    };
  }

  get #tickMs(): number {
    return this.#options.pingMs / 2;
  }

  #schedule(): void {
    this.#cancel = this.#options.clock.setTimeout(() => {
      this.#tick();
      this.#schedule();
    }, this.#tickMs);
  }

  #tick(): void {
    const now = this.#options.clock.monotonic();
    const overslept = now - this.#lastTick > this.#tickMs * LATE_FACTOR;
    this.#lastTick = now;
    for (const watched of this.#watched) {
      if (overslept) watched.seenAt = Math.max(watched.seenAt, now - this.#options.pingMs);
      const silence = now - watched.seenAt;
      if (silence >= this.#options.silentMs) {
        this.#watched.delete(watched);
        watched.lost();
      } else if (silence >= this.#options.pingMs) {
        watched.ping();
      }
    }
  }
}
