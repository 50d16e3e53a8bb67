/**
 * The pipe that a runtime writes stdout and stderr into. A real one, as on Lambda: what child_process makes are sockets, which
 * keep no order between the two streams and cannot be opened again as /dev/stdout.
 */
import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";

/** Reads this much at once: a pipe's capacity (pipe(7)). */
const CHUNK = 64 * 1024;

export class OutputPipe {
  /** Descriptor for the children to write to. */
  readonly writeFd: number;
  readonly #readFd: number;
  readonly #socket: Socket;
  readonly #onChunk: (chunk: Buffer) => void;
  readonly #buffer = Buffer.allocUnsafe(CHUNK);

  /**
   * @param tmp a folder that can be written; the pipe leaves no name there
   * @param onChunk gets what was written. The buffer is only valid during the call.
   */
  constructor(tmp: string, onChunk: (chunk: Buffer) => void) {
    this.#onChunk = onChunk;
    const folder = mkdtempSync(join(tmp, ".kappa-"));
    try {
      const path = join(folder, "output");
      // Node has no call for it; coreutils has, and it is run once in an agent's life.
      execFileSync("mkfifo", ["-m", "600", path]);
      this.#readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      // Kept open, so that a runtime's end is no end of the pipe. Its own open file: children get a blocking one.
      this.writeFd = openSync(path, constants.O_WRONLY);
    } finally {
      rmSync(folder, { recursive: true });
    }
    this.#socket = new Socket({
      fd: this.#readFd,
      readable: true,
      writable: false,
      onread: {
        buffer: Buffer.allocUnsafe(CHUNK),
        callback: (length, buffer) => {
          onChunk(Buffer.from(buffer.buffer, buffer.byteOffset, length));
          return true;
        },
      },
    });
    this.#socket.on("error", () => {});
    this.#socket.resume();
  }

  /**
   * Takes out what was written before this call, up to `maxBytes`: a runtime writes its output before it posts its response, but
   * the event loop may see the response first.
   */
  drain(maxBytes: number): void {
    for (let total = 0; total < maxBytes; ) {
      let length = 0;
      try {
        length = readSync(this.#readFd, this.#buffer, 0, CHUNK, null);
      } catch {
        // EAGAIN: the pipe is empty.
        return;
      }
      if (length === 0) return;
      this.#onChunk(this.#buffer.subarray(0, length));
      total += length;
    }
  }

  close(): void {
    this.#socket.destroy();
    closeSync(this.writeFd);
  }
}
