/** What the platform itself writes into a function's log, in both of Lambda's formats. Pure. */
import { type Failure, reportLine, reportRecord, type Usage } from "../../../../operator/src/domain/billing.ts";
import type { Dropped } from "./rate.ts";

export type LogFormat = "Text" | "JSON";

/** Lines of the platform; each may hold several physical lines. */
export class PlatformRecords {
  readonly #format: LogFormat;
  readonly #now: () => Date;

  constructor(format: LogFormat, now: () => Date) {
    this.#format = format;
    this.#now = now;
  }

  start(requestId: string, version: string): string {
    return this.#format === "JSON"
      ? this.#record("platform.start", { requestId, version })
      : `START RequestId: ${requestId} Version: ${version}`;
  }

  /** END and REPORT; the JSON format has one record for both. */
  report(requestId: string, usage: Usage, failure?: Failure): string {
    if (this.#format === "JSON") return this.#record("platform.report", reportRecord(requestId, usage, failure));
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
  initReport(durationMs: number, phase: "init" | "invoke", failure: Failure): string {
    if (this.#format === "JSON")
      return this.#record("platform.initReport", {
        phase,
        status: failure.status,
        ...(failure.errorType === undefined ? {} : { errorType: failure.errorType }),
        metrics: { durationMs: Number(durationMs.toFixed(3)) },
      });
    const type = failure.status === "error" && failure.errorType !== undefined ? `\tError Type: ${failure.errorType}` : "";
    return `INIT_REPORT Init Duration: ${durationMs.toFixed(2)} ms\tPhase: ${phase}\tStatus: ${failure.status}${type}`;
  }

  dropped(requestId: string | undefined, dropped: Dropped): string {
    const reason = "The function writes more than its log takes.";
    if (this.#format === "JSON")
      return this.#record("platform.logsDropped", { droppedRecords: dropped.records, droppedBytes: dropped.bytes, reason });
    return `LOGS DROPPED RequestId: ${requestId ?? "-"} Records: ${dropped.records} Bytes: ${dropped.bytes} Reason: ${reason}`;
  }

  #record(type: string, record: Record<string, unknown>): string {
    return JSON.stringify({ time: this.#now().toISOString(), type, record });
  }
}
