/** Functions that tell when and where they ran, and what follows from it. */

/** Sleeps and answers with its environment and the time it ran, epoch seconds. Its log has the same, for callers who get no answer. */
export const SLEEPER = `
import os, time

ENVIRONMENT = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]

def handler(event, context):
    start = time.time()
    print("BEGAN", context.aws_request_id, ENVIRONMENT, start, flush=True)
    time.sleep(event.get("ms", 0) / 1000)
    end = time.time()
    print("ENDED", context.aws_request_id, end, flush=True)
    return {"environment": ENVIRONMENT, "start": start, "end": end, "version": context.function_version}
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

/** One that began and did not end runs still. */
export function executionsIn(log: string): Execution[] {
  const ends = new Map([...log.matchAll(/^.*\bENDED (\S+) ([\d.]+)/gm)].map(([, id, end]) => [id, Number(end)]));
  return [...log.matchAll(/^.*\bBEGAN (\S+) (\S+) ([\d.]+)/gm)].map(([, id, environment = "", start]) => ({
    environment,
    start: Number(start),
    end: ends.get(id) ?? Number.POSITIVE_INFINITY,
  }));
}

/** The environments that ran something. */
export const environmentsOf = (executions: readonly Execution[]): Set<string> => new Set(executions.map(({ environment }) => environment));
