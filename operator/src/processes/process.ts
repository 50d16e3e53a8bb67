import type { Logger } from "../telemetry/log.ts";

/** A process that runs until it is stopped. */
export interface Process {
  log: Logger;
  /** Ends what runs in order; resolves when nothing of it is left. */
  stop(): Promise<void>;
}
