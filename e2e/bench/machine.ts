import { cpus, loadavg, release, totalmem } from "node:os";

/** What a figure is worth nothing without. */
export interface MachineFacts {
  processor: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  loadBefore: string;
  loadAfter: string;
}

/** Notes the load now; the function it returns tells all facts, with the load at that time. */
export function observeMachine(): () => MachineFacts {
  const loadBefore = oneMinute();
  return () => ({
    processor: cpus()[0]?.model ?? "unknown processor",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    loadBefore,
    loadAfter: oneMinute(),
  });
}

const oneMinute = (): string => (loadavg()[0] ?? 0).toFixed(2);
