/** What an invocation costs and how Lambda reports it. */

/** What one invocation used. */
export interface Usage {
  /** Milliseconds from handing the event over to the response; of a time-out, the limit. */
  durationMs: number;
  /** Milliseconds of the environment's start, on its first event only. */
  initDurationMs?: number;
  /** MiB, configured. */
  memorySizeMb: number;
  /** MiB, the most that was used since the environment started. */
  maxMemoryMb: number;
}

/** How an invocation ended, where it was not the function's own answer. */
export interface Failure {
  status: "error" | "timeout";
  /** Lambda's error type; not shown for time-outs. */
  errorType?: string;
}

/**
 * Milliseconds that are billed: duration and start-up together, rounded up to the next whole one (LAMBDA.md; init is billed for
 * every package type since August 2025). At least 1.
 */
export function billedDurationMs(usage: Pick<Usage, "durationMs" | "initDurationMs">): number {
  const total = usage.durationMs + (usage.initDurationMs ?? 0);
  // Clocks count in floating point: 2.0000000001 ms is 2 ms.
  return Math.max(1, Math.ceil(Math.round(total * 1000) / 1000));
}

/** The REPORT line as Lambda writes it: fields separated by tabs, without a line end. */
export function reportLine(requestId: string, usage: Usage, failure?: Failure): string {
  const fields = [
    `REPORT RequestId: ${requestId}`,
    `Duration: ${usage.durationMs.toFixed(2)} ms`,
    `Billed Duration: ${billedDurationMs(usage)} ms`,
    `Memory Size: ${usage.memorySizeMb} MB`,
    `Max Memory Used: ${usage.maxMemoryMb} MB`,
  ];
  if (usage.initDurationMs !== undefined) fields.push(`Init Duration: ${usage.initDurationMs.toFixed(2)} ms`);
  if (failure) fields.push(`Status: ${failure.status}`);
  if (failure?.status === "error" && failure.errorType !== undefined) fields.push(`Error Type: ${failure.errorType}`);
  return fields.join("\t");
}

/** The same as a `platform.report` record, for functions with the JSON log format (guide, "Lambda Telemetry API Event schema"). */
export function reportRecord(requestId: string, usage: Usage, failure?: Failure): Record<string, unknown> {
  return {
    requestId,
    metrics: {
      durationMs: Number(usage.durationMs.toFixed(3)),
      billedDurationMs: billedDurationMs(usage),
      memorySizeMB: usage.memorySizeMb,
      maxMemoryUsedMB: usage.maxMemoryMb,
      ...(usage.initDurationMs === undefined ? {} : { initDurationMs: Number(usage.initDurationMs.toFixed(3)) }),
    },
    status: failure?.status ?? "success",
    ...(failure?.errorType === undefined ? {} : { errorType: failure.errorType }),
  };
}
