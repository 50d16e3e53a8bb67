/** Stops everything of a function while no event runs, as Lambda does, and ends it. */
import { FREEZE_DELAY_MS } from "../limits.ts";
import type { Processes } from "./processes.ts";

export class Freezer {
  readonly #processes: Processes;
  readonly #onFreeze: () => void;
  #timer: NodeJS.Timeout | undefined;
  #frozen = false;

  /** @param onFreeze called right before everything is stopped */
  constructor(processes: Processes, onFreeze: () => void) {
    this.#processes = processes;
    this.#onFreeze = onFreeze;
  }

  /** The runtime waits for an event. */
  later(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#freeze(), FREEZE_DELAY_MS);
  }

  /** There is an event. */
  awake(): void {
    clearTimeout(this.#timer);
    if (!this.#frozen) return;
    this.#frozen = false;
    this.#processes.signal("SIGCONT");
  }

  /** Those that are stopped die without running again. */
  kill(): void {
    clearTimeout(this.#timer);
    this.#frozen = false;
    this.#processes.signal("SIGKILL");
  }

  #freeze(): void {
    this.#onFreeze();
    this.#frozen = true;
    this.#processes.signal("SIGSTOP");
  }
}
