import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";

export type { Logger } from "pino";

export interface LogOptions {
  /** `controller`, `gateway`, … */
  component: string;
  level: "trace" | "debug" | "info" | "warn" | "error" | "silent";
  /** Pod name, so that lines of replicas can be told apart once collected. */
  instance?: string;
  /** Where lines go; standard output when absent. */
  destination?: DestinationStream;
}

/** Members that are never written, whoever logs an object that holds them. */
const SECRETS = ["token", "secretAccessKey", "authorization", "seed", "secret", "environment"].flatMap((key) => [key, `*.${key}`]);

/** Makes a process' logger: one JSON object a line, ISO time, level as a word. */
export function createLogger({ component, level, instance, destination }: LogOptions): Logger {
  const options = {
    level,
    base: { component, ...(instance === undefined ? {} : { instance }) },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: SECRETS, censor: "[redacted]" },
  };
  return destination ? pino(options, destination) : pino(options);
}
