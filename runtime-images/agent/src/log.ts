/**
 * The agent's own log: one JSON object a line on stderr, apart from the function's output on stdout. Not pino: the agent is in
 * every pod and writes a few lines in its life.
 */

type Fields = Readonly<Record<string, unknown>>;

export interface Log {
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** @param write takes one line, with its newline */
export function createLog(write: (line: string) => void, now: () => Date = () => new Date()): Log {
  const at =
    (level: string) =>
    (message: string, fields: Fields = {}): void =>
      write(`${JSON.stringify({ time: now().toISOString(), level, component: "agent", msg: message, ...fields })}\n`);
  return { info: at("info"), warn: at("warn"), error: at("error") };
}

/** What went wrong, as one line: the message of an error with those of its causes. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at !== undefined && parts.length < 5; at = at instanceof Error ? at.cause : undefined)
    parts.push(at instanceof Error ? at.message || at.name : String(at));
  return parts.join(": ");
}
