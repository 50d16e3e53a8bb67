/** Functions that tell when and where they ran, and what follows from it. */

/** Sleeps and answers with its environment and the time it ran, epoch seconds. */
export const SLEEPER = `
import os, time

ENVIRONMENT = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]

def handler(event, context):
    start = time.time()
    time.sleep(event.get("ms", 0) / 1000)
    return {"environment": ENVIRONMENT, "start": start, "end": time.time(), "version": context.function_version}
`;

export interface Execution {
  /** Unique for each environment. */
  environment: string;
  start: number;
  end: number;
}

/** Most executions that ran at the same time. */
export function concurrency(executions: readonly Execution[]): number {
  const edges = executions.flatMap(({ start, end }) => [
    { at: start, change: 1 },
    { at: end, change: -1 },
  ]);
  // One that ends when another begins does not overlap it.
  edges.sort((a, b) => a.at - b.at || a.change - b.change);
  let now = 0;
  let most = 0;
  for (const { change } of edges) {
    now += change;
    most = Math.max(most, now);
  }
  return most;
}

/** The environments that ran something. */
export const environmentsOf = (executions: readonly Execution[]): Set<string> => new Set(executions.map(({ environment }) => environment));
