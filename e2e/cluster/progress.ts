/** Where progress lines go; standard error by default, so that standard output stays free for results. */
export type Sink = (line: string) => void;

/** Minutes and seconds, as in `1:03`. */
export function clockTime(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

/** Numbered steps with the time that each took and the time since the start. */
export class Progress {
  readonly #sink: Sink;
  readonly #now: () => number;
  readonly #started: number;
  readonly #total: number;
  #done = 0;

  constructor(total: number, sink: Sink = (line) => process.stderr.write(`${line}\n`), now: () => number = Date.now) {
    this.#total = total;
    this.#sink = sink;
    this.#now = now;
    this.#started = now();
  }

  /** Runs one step: a line when it starts, a line with its time when it ends. Words that the work returns tell its outcome. */
  async step(name: string, work: (note: Sink) => Promise<unknown>): Promise<void> {
    const label = `[${++this.#done}/${this.#total}] ${name}`;
    const start = this.#now();
    this.#sink(`${label} …`);
    try {
      const outcome = await work((text) => this.#sink(`       ${text}`));
      this.#sink(`${label} … ${typeof outcome === "string" ? `${outcome}, ` : ""}${this.#since(start)}`);
    } catch (error) {
      this.#sink(`${label} … FAILED after ${this.#since(start)}`);
      throw error;
    }
  }

  #since(start: number): string {
    const now = this.#now();
    return `${Math.round((now - start) / 1000)} s (elapsed ${clockTime(now - this.#started)})`;
  }
}
