/** How much memory a runtime and its children use, and whether the kernel killed for lack of it. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { MEMORY_PEAK_MS } from "../limits.ts";
import { descendantsOf } from "./processes.ts";

const MIB = 1024 * 1024;

/**
 * Resident memory of one runtime process, its peak as the kernel keeps it, and of the whole tree, as sampled. The cgroup's own
 * peak is no use: it counts the page cache and the agent.
 */
export class MemoryMeter {
  readonly #pid: number;
  #statusFd: number | undefined;
  readonly #buffer = Buffer.allocUnsafe(4096);
  #peakBytes = 0;
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(pid: number) {
    this.#pid = pid;
    try {
      this.#statusFd = openSync(`/proc/${pid}/status`, "r");
    } catch {
      // It has ended already.
      this.#statusFd = undefined;
    }
  }

  /**
   * Peak in bytes. Reads one open file, at most every {@link MEMORY_PEAK_MS}, so it is cheap enough for every event.
   * @param fresh read it in any case
   */
  peak(fresh: boolean): number {
    const now = performance.now();
    if (this.#statusFd !== undefined && (fresh || now - this.#readAt >= MEMORY_PEAK_MS)) {
      this.#readAt = now;
      try {
        const length = readSync(this.#statusFd, this.#buffer, 0, this.#buffer.length, 0);
        this.#raise(statusBytes(this.#buffer.toString("latin1", 0, length), "VmHWM"));
      } catch {
        // ESRCH: ended; what was seen before stays.
      }
    }
    return this.#peakBytes;
  }

  /** Looks at the process and everything below it. */
  sample(): void {
    try {
      this.#raise([this.#pid, ...descendantsOf(this.#pid)].reduce((sum, pid) => sum + residentBytes(pid), 0));
    } catch {
      // The list of processes cannot be read now: a sample less.
    }
  }

  close(): void {
    if (this.#statusFd !== undefined) closeSync(this.#statusFd);
    this.#statusFd = undefined;
  }

  #raise(bytes: number): void {
    if (bytes > this.#peakBytes) this.#peakBytes = bytes;
  }
}

/** Whole MiB, rounded up. */
export function toMib(bytes: number): number {
  return Math.ceil(bytes / MIB);
}

/** A field of /proc/PID/status in bytes; 0 when it is not there: a process that ended has no memory. */
export function statusBytes(status: string, field: "VmHWM" | "VmRSS"): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status);
  return match ? Number(match[1]) * 1024 : 0;
}

/**
 * Memory that processes have of their own and together: what a cgroup would count against its limit, without the file pages that it
 * could give up. Pages that they share count once.
 * @param enough a sum up to which pages may count more than once: to tell them apart takes the kernel a walk over all of them
 */
export function privateBytes(pids: readonly number[], enough: number): number {
  const rough = pids.map((pid) => fieldsOf(pid, "status", ROUGH) ?? 0);
  const sum = rough.reduce((all, bytes) => all + bytes, 0);
  if (sum <= enough) return sum;
  // A process may forbid the closer look.
  return pids.reduce((all, pid, index) => all + (fieldsOf(pid, "smaps_rollup", EXACT) ?? rough[index] ?? 0), 0);
}

/** The process that has most of its own: the one that the kernel would end. */
export function largest(pids: readonly number[]): number | undefined {
  const sizes = pids.map((pid) => fieldsOf(pid, "status", ROUGH) ?? 0);
  return pids[sizes.indexOf(Math.max(...sizes))];
}

/** What a container may use, bytes, from either version of cgroups; infinite where neither says. */
export function containerLimit(cgroupRoot: string): number {
  for (const file of ["memory.max", "memory/memory.limit_in_bytes"]) {
    try {
      return Number(/^\d+/.exec(readFileSync(`${cgroupRoot}/${file}`, "latin1"))?.[0] ?? Number.POSITIVE_INFINITY);
    } catch {
      // The other version.
    }
  }
  return Number.POSITIVE_INFINITY;
}

/** proc_pid_status(5) */
const ROUGH = /^Rss(?:Anon|Shmem):\s+(\d+) kB$/gm;
/** proc_pid_smaps(5): shares of pages by how many processes have them. */
const EXACT = /^Pss_(?:Anon|Shmem):\s+(\d+) kB$/gm;

/** The sum of some fields of a file in /proc; undefined where it cannot be read or lacks them. */
function fieldsOf(pid: number, file: string, fields: RegExp): number | undefined {
  try {
    const found = [...readFileSync(`/proc/${pid}/${file}`, "latin1").matchAll(fields)];
    return found.length === 0 ? undefined : found.reduce((sum, [, kb]) => sum + Number(kb) * 1024, 0);
  } catch {
    return undefined;
  }
}

function residentBytes(pid: number): number {
  try {
    return statusBytes(readFileSync(`/proc/${pid}/status`, "latin1"), "VmRSS");
  } catch {
    return 0;
  }
}

/**
 * Kills for lack of memory in this container since it started, from either version of cgroups; 0 where neither can be read.
 * The kernel counts before it kills, so the count is there when the death is noticed.
 */
export function oomKills(cgroupRoot: string): number {
  for (const file of ["memory.events", "memory/memory.oom_control"]) {
    try {
      const match = /^oom_kill (\d+)$/m.exec(readFileSync(`${cgroupRoot}/${file}`, "latin1"));
      if (match) return Number(match[1]);
    } catch {
      // The other version.
    }
  }
  return 0;
}
