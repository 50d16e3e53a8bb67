/** The container's standard output, written in batches and never waited for. */
import type { Writable } from "node:stream";
import { LOG_BACKLOG_BYTES, LOG_FLUSH_MS } from "../limits.ts";
import type { LogSink } from "./function-log.ts";

/**
 * Collects what is written within {@link LOG_FLUSH_MS} into one write. When whoever reads the output (the container runtime)
 * stops, at most {@link LOG_BACKLOG_BYTES} are kept and the rest is refused.
 */
export class ContainerOutput implements LogSink {
  readonly #stream: Writable;
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    // A reader that went away must not end the agent; what it does not take is counted as dropped.
    stream.on("error", () => {});
  }

  write(bytes: Uint8Array): boolean {
    if (this.#batchBytes + this.#stream.writableLength + bytes.length > LOG_BACKLOG_BYTES) return false;
    this.#timer ??= setTimeout(() => this.flush(), LOG_FLUSH_MS);
    this.#batch.push(bytes);
    this.#batchBytes += bytes.length;
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
    const [first] = this.#batch;
    if (first === undefined) return;
    const bytes = this.#batch.length === 1 ? first : Buffer.concat(this.#batch, this.#batchBytes);
    this.#batch = [];
    this.#batchBytes = 0;
    this.#stream.write(bytes);
  }
}
