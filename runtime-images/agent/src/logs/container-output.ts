/** The container's standard output, written in batches and never waited for. */
import type { Writable } from "node:stream";
import { LOG_BACKLOG_BYTES, LOG_FLUSH_MS, LOG_RESERVE_BYTES } from "../limits.ts";
import type { LogSink } from "./function-log.ts";

const NEWLINE = 0x0a;

/** Room for a batch that is kept for the next one; a larger one is given back. */
const ROOM = 64 * 1024;

/**
 * Collects what is written within {@link LOG_FLUSH_MS} into one write. When whoever reads the output (the container runtime)
 * stops, at most {@link LOG_BACKLOG_BYTES} are kept, {@link LOG_RESERVE_BYTES} more for the platform's lines, and the rest is refused.
 */
export class ContainerOutput implements LogSink {
  readonly #stream: Writable;
  /** Lines are copied together as they come: a buffer for each would cost many times its bytes. */
  #batch = Buffer.allocUnsafe(ROOM);
  #batchBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    // A reader that went away must not end the agent; what it does not take is counted as dropped.
    stream.on("error", () => {});
  }

  write(line: Uint8Array, prefix?: Uint8Array, platform = false): boolean {
    const lineStart = this.#batchBytes + (prefix?.length ?? 0);
    const end = lineStart + line.length + 1;
    if (end + this.#stream.writableLength > LOG_BACKLOG_BYTES + (platform ? LOG_RESERVE_BYTES : 0)) return false;
    this.#timer ??= setTimeout(() => this.flush(), LOG_FLUSH_MS);
    if (end > this.#batch.length) this.#grow(end);
    if (prefix) this.#batch.set(prefix, this.#batchBytes);
    this.#batch.set(line, lineStart);
    this.#batch[end - 1] = NEWLINE;
    this.#batchBytes = end;
    return true;
  }

  /** Resolves when everything was handed to the operating system, or after `limitMs`. */
  async end(limitMs: number): Promise<void> {
    this.flush();
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, limitMs);
    this.#stream.write("", () => resolve());
    await promise;
    clearTimeout(timer);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#batchBytes === 0) return;
    this.#stream.write(this.#batch.subarray(0, this.#batchBytes));
    this.#batchBytes = 0;
    // What the operating system has not taken yet, the stream still reads from it.
    if (this.#stream.writableLength > 0 || this.#batch.length > ROOM) this.#batch = Buffer.allocUnsafe(ROOM);
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafe(Math.max(bytes, 2 * this.#batch.length));
    larger.set(this.#batch.subarray(0, this.#batchBytes));
    this.#batch = larger;
  }
}
