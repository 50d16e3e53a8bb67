/** What an environment's memory is looked at for: the report of each event and, where the cgroup allows more, the function's limit. */
import { MEMORY_GUARD_MS, MEMORY_SAMPLE_MS, START_SAMPLE_MS } from "../limits.ts";
import { containerLimit, largest, type MemoryMeter, privateBytes, toMib } from "./memory.ts";
import type { Processes } from "./processes.ts";

export interface MemoryWatchOptions {
  processes: Processes;
  /** Where the container's cgroup is mounted. */
  cgroupRoot: string;
  /** Called when the function's processes use more than the limit that was set. @param pid the one to end, as the kernel would */
  onOverrun: (pid: number) => void;
}

export class MemoryWatch {
  readonly #options: MemoryWatchOptions;
  #maxBytes = 0;
  #limitBytes = Number.POSITIVE_INFINITY;
  /** What the container had when the limit was set: once it has less, the kernel keeps to the limit. */
  #containerBytes = 0;
  /** Of the runtime that runs. */
  #meter: () => MemoryMeter | undefined = () => undefined;
  #sampler: NodeJS.Timeout | undefined;
  #guard: NodeJS.Timeout | undefined;
  /** When the limit was last looked after, monotonic milliseconds: events may all be shorter than the guard's interval. */
  #checkedAt = 0;

  constructor(options: MemoryWatchOptions) {
    this.#options = options;
  }

  /** From here on the function's processes together must not use more: their container may. */
  enforce(limitBytes: number): void {
    this.#limitBytes = limitBytes;
    this.#containerBytes = containerLimit(this.#options.cgroupRoot);
    this.#checkedAt = performance.now();
  }

  /** A runtime starts. It may end at any time, and its peak with it. */
  starting(meter: () => MemoryMeter | undefined): void {
    this.#meter = meter;
    // The one that overran is gone, and its memory with it.
    if (this.#maxBytes === Number.POSITIVE_INFINITY) this.#maxBytes = 0;
    this.#watch(() => this.note(), START_SAMPLE_MS);
  }

  /** An event runs. */
  running(): void {
    this.#watch(() => this.#meter()?.sample(), MEMORY_SAMPLE_MS);
    if (this.#isEnforced && performance.now() - this.#checkedAt >= MEMORY_GUARD_MS) this.#check();
  }

  /** Nothing runs. */
  rest(): void {
    clearInterval(this.#sampler);
    clearInterval(this.#guard);
  }

  /** The runtime has ended: what was seen of it stays. @param outOfMemory whether all that there was had not been enough */
  ended(outOfMemory: boolean): void {
    this.note(false);
    this.#meter = () => undefined;
    if (outOfMemory) this.#maxBytes = Number.POSITIVE_INFINITY;
  }

  /** @param fresh whether to look in any case, though it was done a moment ago */
  note(fresh = true): void {
    this.#maxBytes = Math.max(this.#maxBytes, this.#meter()?.peak(fresh) ?? 0);
  }

  /** Peak so far, never more than the function has: the agent's allowance is not the function's. */
  maxMb(memorySize: number, fresh: boolean): number {
    this.note(fresh);
    return Math.min(toMib(this.#maxBytes), memorySize);
  }

  get #isEnforced(): boolean {
    return this.#limitBytes !== Number.POSITIVE_INFINITY;
  }

  #watch(sample: () => void, everyMs: number): void {
    this.rest();
    this.#sampler = setInterval(sample, everyMs);
    if (this.#isEnforced) this.#guard = setInterval(() => this.#check(), MEMORY_GUARD_MS);
  }

  #check(): void {
    const { processes, cgroupRoot, onOverrun } = this.#options;
    this.#checkedAt = performance.now();
    if (containerLimit(cgroupRoot) < this.#containerBytes) {
      this.#limitBytes = Number.POSITIVE_INFINITY;
      clearInterval(this.#guard);
      return;
    }
    const pids = processes.list();
    if (privateBytes(pids, this.#limitBytes) <= this.#limitBytes) return;
    const pid = largest(pids);
    if (pid !== undefined) onOverrun(pid);
  }
}
