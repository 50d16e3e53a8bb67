/** Lambda's words for what the platform itself ends an event with. Pure. */
import { MAX_RESPONSE_BYTES } from "../limits.ts";

/** Lambda's error object, and its type for metrics and logs. */
export interface PlatformError {
  errorType: string;
  message: string;
}

/** How a runtime process ended. */
export interface Exit {
  /** Exit status, when it ended by itself. */
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Whether the kernel killed it for lack of memory. */
  outOfMemory: boolean;
}

/** Go's names of signals, which Lambda shows (golang.org/x/sys, zerrors_linux_amd64.go). */
const SIGNAL_TEXT: Readonly<Record<string, string>> = {
  SIGHUP: "hangup",
  SIGINT: "interrupt",
  SIGQUIT: "quit",
  SIGILL: "illegal instruction",
  SIGTRAP: "trace/breakpoint trap",
  SIGABRT: "aborted",
  SIGBUS: "bus error",
  SIGFPE: "floating point exception",
  SIGKILL: "killed",
  SIGUSR1: "user defined signal 1",
  SIGSEGV: "segmentation fault",
  SIGUSR2: "user defined signal 2",
  SIGPIPE: "broken pipe",
  SIGALRM: "alarm clock",
  SIGTERM: "terminated",
  SIGSYS: "bad system call",
};

/** @param requestId absent where it was the start and no event waited for it */
export function timedOut(requestId: string | undefined, timeoutSeconds: number): PlatformError {
  return { errorType: "Sandbox.Timedout", message: `${prefix(requestId)}Task timed out after ${timeoutSeconds.toFixed(2)} seconds` };
}

/** @param requestId absent while no event has been given: before the first one */
export function exited(requestId: string | undefined, exit: Exit): PlatformError {
  const how =
    exit.signal !== null
      ? `Runtime exited with error: signal: ${SIGNAL_TEXT[exit.signal] ?? exit.signal}`
      : exit.code === 0
        ? "Runtime exited without providing a reason"
        : `Runtime exited with error: exit status ${exit.code}`;
  return { errorType: exit.outOfMemory ? "Runtime.OutOfMemory" : "Runtime.ExitError", message: prefix(requestId) + how };
}

export function notStarted(requestId: string | undefined, reason: string): PlatformError {
  return { errorType: "Runtime.InvalidEntrypoint", message: prefix(requestId) + reason };
}

export const RESPONSE_TOO_LARGE: PlatformError = {
  errorType: "Function.ResponseSizeTooLarge",
  message: `Response payload size exceeded maximum allowed payload size (${MAX_RESPONSE_BYTES} bytes).`,
};

/** The limit of a streamed response. */
export function streamTooLarge(maxBytes: number): PlatformError {
  return { ...RESPONSE_TOO_LARGE, message: `Response payload size exceeded maximum allowed payload size (${maxBytes} bytes).` };
}

/** A streamed response whose connection broke, though its runtime lives (the emulator's type and words). */
export function truncated(requestId: string): PlatformError {
  return { errorType: "Runtime.TruncatedResponse", message: `${prefix(requestId)}HTTP request detected as truncated` };
}

export const INVALID_RESPONSE_MODE: PlatformError = {
  errorType: "Runtime.InvalidResponseModeHeader",
  message: "Invalid function response mode",
};

/** The body that a caller gets. */
export function errorBody(error: PlatformError): Uint8Array {
  return Buffer.from(JSON.stringify({ errorType: error.errorType, errorMessage: error.message }));
}

/** What an error object says, if it is one. */
export function errorMessageOf(body: readonly Uint8Array[]): string {
  try {
    const { errorMessage } = JSON.parse(Buffer.concat(body).toString());
    return typeof errorMessage === "string" ? errorMessage : "";
  } catch {
    return "";
  }
}

function prefix(requestId: string | undefined): string {
  return requestId === undefined ? "Error: " : `RequestId: ${requestId} Error: `;
}
