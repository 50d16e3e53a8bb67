/** What the platform itself writes into a function's log, in both of Lambda's formats. Pure. */
import { type Failure, reportLine, reportRecord, type Usage } from "../../../../operator/src/domain/billing.ts";
import { DEFAULT_LEVEL, isKept, type LogLevel } from "./levels.ts";
import type { Dropped } from "./rate.ts";

export type LogFormat = "Text" | "JSON";

/**
 * Lines of the platform; each may hold several physical lines. Undefined is what the level leaves out: in the JSON format alone,
 * by the guide's table ("System log level event mapping").
 */
export class PlatformRecords {
  readonly #format: LogFormat;
  readonly #now: () => Date;
  readonly #lowest: LogLevel;

  /** @param lowest level that is written in the JSON format */
  constructor(format: LogFormat, now: () => Date, lowest: LogLevel = DEFAULT_LEVEL) {
    this.#format = format;
    this.#now = now;
    this.#lowest = lowest;
  }

  start(requestId: string, version: string): string | undefined {
    return this.#format === "JSON"
      ? this.#record("INFO", "platform.start", { requestId, version })
      : `START RequestId: ${requestId} Version: ${version}`;
  }

  /** END and REPORT; the JSON format has one record for both. */
  report(requestId: string, usage: Usage, failure?: Failure): string | undefined {
    if (this.#format === "JSON") return this.#record(failure ? "WARN" : "INFO", "platform.report", reportRecord(requestId, usage, failure));
    return `END RequestId: ${requestId}\n${reportLine(requestId, usage, failure)}`;
  }

  /** Why the platform ended an event: Lambda writes this between the function's output and END. The JSON format says it in the report. */
  failure(requestId: string, errorType: string, message: string): string | undefined {
    if (this.#format === "JSON") return undefined;
    if (errorType === "Sandbox.Timedout")
      return `${this.#now().toISOString()} ${requestId} ${message.slice(message.indexOf("Task timed out"))}\n`;
    return `${message}\n${errorType}`;
  }

  /** A start that failed (guide, "Troubleshooting"). */
  initReport(durationMs: number, phase: "init" | "invoke", failure: Failure): string | undefined {
    if (this.#format === "JSON")
      return this.#record("WARN", "platform.initReport", {
        phase,
        status: failure.status,
        ...(failure.errorType === undefined ? {} : { errorType: failure.errorType }),
        metrics: { durationMs: Number(durationMs.toFixed(3)) },
      });
    const type = failure.status === "error" && failure.errorType !== undefined ? `\tError Type: ${failure.errorType}` : "";
    return `INIT_REPORT Init Duration: ${durationMs.toFixed(2)} ms\tPhase: ${phase}\tStatus: ${failure.status}${type}`;
  }

  dropped(requestId: string | undefined, dropped: Dropped): string | undefined {
    const reason = "The function writes more than its log takes.";
    if (this.#format === "JSON")
      return this.#record("WARN", "platform.logsDropped", { droppedRecords: dropped.records, droppedBytes: dropped.bytes, reason });
    return `LOGS DROPPED RequestId: ${requestId ?? "-"} Records: ${dropped.records} Bytes: ${dropped.bytes} Reason: ${reason}`;
  }

  #record(level: LogLevel, type: string, record: Record<string, unknown>): string | undefined {
    if (!isKept(level, this.#lowest)) return undefined;
    return JSON.stringify({ time: this.#now().toISOString(), type, record });
  }
}
