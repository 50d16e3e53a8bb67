/** Levels of a JSON log, and what is kept (guide, "Log-level filtering"). Pure. */

const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] as const;

export type LogLevel = (typeof LEVELS)[number];

/** Where none was chosen, or a line has none. */
export const DEFAULT_LEVEL: LogLevel = "INFO";

/** The level of this name, in any case. */
export function levelOf(name: unknown): LogLevel {
  const upper = typeof name === "string" ? name.toUpperCase() : undefined;
  return LEVELS.find((level) => level === upper) ?? DEFAULT_LEVEL;
}

/** The level that a line of a function's log says it has. */
export function lineLevel(line: Uint8Array): LogLevel {
  // Most lines that are no object are no JSON either: not worth the attempt.
  if (line[0] !== 0x7b) return DEFAULT_LEVEL;
  try {
    return levelOf(JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.length).toString()).level);
  } catch {
    return DEFAULT_LEVEL;
  }
}

export function isKept(level: LogLevel, lowest: LogLevel): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(lowest);
}
