import type { Readable } from "node:stream";
import type { Clock } from "./clock.ts";
import { type ApiStatus, KubeError, NO_ANSWER } from "./errors.ts";
import type { KubeObject } from "./objects.ts";

export type WatchEvent<T extends KubeObject> =
  | { type: "ADDED" | "MODIFIED" | "DELETED"; object: T }
  /** Nothing changed up to this resource version. */
  | { type: "BOOKMARK"; resourceVersion: string };

interface WatchStream {
  idleTimeoutMs: number;
  signal: AbortSignal;
  /** Plural of the resource, for messages. */
  what: string;
  clock: Clock;
}

/** A watch event is one object and its frame; etcd takes 1.5 MiB, JSON may escape up to sixfold. A longer line is not from an API server. */
const MAX_LINE = 16 * 1024 * 1024;

/**
 * Reads watch events from a response body: one JSON document per line. Ends when the server ends the stream.
 * @throws KubeError on an ERROR event (with its status), a broken line, a reset, or silence of `idleTimeoutMs`
 */
export async function* watchEvents<T extends KubeObject>(body: Readable, stream: WatchStream): AsyncGenerator<WatchEvent<T>> {
  const fail = (reason: string, message: string, cause?: unknown) =>
    new KubeError(`watch ${stream.what}: ${message}`, { status: NO_ANSWER, reason }, cause);
  const abort = () => body.destroy(fail("Aborted", "given up by the caller"));
  let lastByte = stream.clock.monotonic();
  let cancelWatchdog = () => {};
  const watchdog = () => {
    const left = lastByte + stream.idleTimeoutMs - stream.clock.monotonic();
    if (left > 0) cancelWatchdog = stream.clock.setTimeout(watchdog, left);
    else body.destroy(fail("Idle", `silent for ${stream.idleTimeoutMs} ms`));
  };
  watchdog();
  stream.signal.addEventListener("abort", abort, { once: true });
  if (stream.signal.aborted) abort();
  try {
    for await (const line of lines(body, () => (lastByte = stream.clock.monotonic()))) yield decode<T>(line, stream.what);
  } catch (error) {
    if (error instanceof KubeError) throw error;
    throw fail("Reset", error instanceof Error ? error.message : "the connection ended", error);
  } finally {
    cancelWatchdog();
    stream.signal.removeEventListener("abort", abort);
    body.destroy();
  }
}

async function* lines(body: Readable, onBytes: () => void): AsyncGenerator<string> {
  // Pieces of a line that spans chunks are joined once, when it is complete.
  let pieces: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    onBytes();
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      const last = chunk.subarray(start, end);
      const line = pieces.length === 0 ? last.toString("utf8") : Buffer.concat([...pieces, last]).toString("utf8");
      pieces = [];
      length = 0;
      start = end + 1;
      if (line !== "") yield line;
    }
    if (start < chunk.length) {
      pieces.push(chunk.subarray(start));
      length += chunk.length - start;
      if (length > MAX_LINE) throw new Error(`a line of more than ${MAX_LINE} bytes`);
    }
  }
  // What is left is an event that was cut off: it will come again.
}

function decode<T extends KubeObject>(line: string, what: string): WatchEvent<T> {
  let event: { type?: unknown; object?: unknown };
  try {
    event = JSON.parse(line) as typeof event;
  } catch (cause) {
    throw new KubeError(`watch ${what}: a line is not JSON`, { status: NO_ANSWER, reason: "BadAnswer" }, cause);
  }
  const object = event.object as (T & ApiStatus) | undefined;
  switch (event.type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
    case "BOOKMARK": {
      const resourceVersion = object?.metadata?.resourceVersion;
      if (
        object === undefined ||
        typeof resourceVersion !== "string" ||
        (event.type !== "BOOKMARK" && typeof object.metadata.name !== "string")
      )
        break;
      return event.type === "BOOKMARK" ? { type: "BOOKMARK", resourceVersion } : { type: event.type, object };
    }
    case "ERROR":
      throw new KubeError(`watch ${what}: ${object?.code ?? "error"} ${object?.reason ?? ""}: ${object?.message ?? "no message"}`, {
        status: typeof object?.code === "number" ? object.code : NO_ANSWER,
        reason: object?.reason ?? "Unknown",
      });
  }
  throw new KubeError(`watch ${what}: an event of type ${String(event.type)} is not understood`, {
    status: NO_ANSWER,
    reason: "BadAnswer",
  });
}
