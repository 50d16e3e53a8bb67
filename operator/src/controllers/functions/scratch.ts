import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { KappaError } from "../../domain/errors.ts";

/** A package on disk, while it is taken in. */
export interface HeldPackage {
  path: string;
  /** Hexadecimal. */
  sha256: string;
  /** Bytes. */
  size: number;
}

/**
 * Holds packages on disk while they are taken in: one of 250 MB in memory would be more than the controller is given, and whoever may
 * write a Function could end it.
 */
export class Scratch {
  #folder: string;
  #ready: Promise<unknown> | undefined;

  /** @param folder this process' own; whatever a former one left in it is deleted */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Writes the content down, hands it over and deletes it again.
   * @throws KappaError K205 when it has more than `maxBytes`; whatever reading it or `use` throws
   */
  async hold<T>(
    content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    maxBytes: number,
    use: (held: HeldPackage) => Promise<T>,
  ): Promise<T> {
    this.#ready ??= this.#prepare();
    await this.#ready;
    const path = join(this.#folder, randomUUID());
    try {
      const hash = createHash("sha256");
      let size = 0;
      // Exclusive: nobody can have put anything there.
      const file = await open(path, "wx", 0o600);
      try {
        for await (const piece of content) {
          size += piece.length;
          if (size > maxBytes) throw new KappaError("K205", `Zipped size must be smaller than ${maxBytes} bytes`);
          hash.update(piece);
          await file.writeFile(piece);
        }
      } finally {
        await file.close();
      }
      return await use({ path, sha256: hash.digest("hex"), size });
    } finally {
      await rm(path, { force: true });
    }
  }

  async #prepare(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
  }
}

/** Opens what is held as a stream for `use`, and closes it whatever happens. */
export async function withStream<T>(held: HeldPackage, use: (open: () => ReadableStream<Uint8Array>) => Promise<T>): Promise<T> {
  const file = createReadStream(held.path, { highWaterMark: 512 * 1024 });
  // Errors reach whoever reads; the listener keeps one that comes after the reader left from ending the process.
  file.on("error", () => {});
  try {
    return await use(() => Readable.toWeb(file) as ReadableStream<Uint8Array>);
  } finally {
    file.destroy();
  }
}
