import { createHash } from "node:crypto";
import { JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import { Objm, StorageType } from "@nats-io/obj";
import type { BusConnection } from "./connection.ts";
import { BusError } from "./errors.ts";
import { findObject, listMetaSubjects, readMeta, readObject, removeObject } from "./object-reader.ts";

const BUCKET = "kappa-packages";
/** Larger than the library's 128 KiB: each chunk is one fsync (`sync_interval: always`) and one round trip. */
const CHUNK_BYTES = 512 * 1024;
const SHA256_HEX = /^[0-9a-f]{64}$/;

/** Function packages by the SHA-256 of their zip, lower-case hex. What is stored under a digest never changes. */
export class PackageStore {
  #bus: BusConnection;
  #replicas: number;

  /** @param replicas copies that NATS keeps, used when the bucket is made: 1, 3 or 5 */
  constructor(bus: BusConnection, replicas: number) {
    this.#bus = bus;
    this.#replicas = replicas;
  }

  /** Whether the package is stored. @throws BusError */
  async has(sha256: string): Promise<boolean> {
    return (await this.#find(sha256)) !== undefined;
  }

  /**
   * Stores a package; does nothing when it is there.
   * @param content the bytes, or what opens a stream of them: a large package is then never held in memory
   * @throws BusError, not retryable when the content does not have that digest: nothing of it is kept
   */
  async put(sha256: string, content: Uint8Array | (() => ReadableStream<Uint8Array>)): Promise<void> {
    if (await this.has(sha256)) return;
    await this.#bus.use(`storing package ${sha256}`, async ({ client }) => {
      const store = await new Objm(client).create(BUCKET, {
        description: "Function packages by SHA-256. Written by Kappa's controller.",
        storage: StorageType.File,
        replicas: this.#replicas,
        // Zip archives do not shrink any further.
        compression: false,
      });
      const deleted = await store.info(sha256);
      const open = content instanceof Uint8Array ? () => new Blob([Buffer.from(content)]).stream() : content;
      try {
        // Only onto what was seen: of two writers one wins, and the other's chunks are purged.
        await store.put({ name: sha256, options: { max_chunk_size: CHUNK_BYTES } }, verified(open(), sha256), {
          previousRevision: deleted?.revision ?? 0,
        });
      } catch (error) {
        if (!(error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamWrongLastSequence)) throw error;
        // The other writer stored the same bytes: that is what the digest says.
      }
    });
  }

  /**
   * Opens a package. The stream fails with a BusError when what comes does not have the digest: use nothing of it before its end.
   * @throws BusError with `notFound`
   */
  async open(sha256: string): Promise<{ size: number; stream: ReadableStream<Uint8Array> }> {
    const object = await this.#find(sha256);
    if (!object) throw new BusError(`package ${sha256} is not stored`, { retryable: false, notFound: true });
    return { size: object.size, stream: readObject(this.#bus, object) };
  }

  /** Every stored package and when it was stored, epoch milliseconds. Asked for one by one: meant for a slow sweep. @throws BusError */
  async list(): Promise<{ sha256: string; storedAt: number }[]> {
    const subjects = await this.#bus.use("listing packages", ({ manager }) => listMetaSubjects(manager, BUCKET));
    const found: { sha256: string; storedAt: number }[] = [];
    for (const subject of subjects) {
      const meta = await this.#bus.use("listing packages", ({ manager }) => readMeta(manager, BUCKET, subject));
      if (meta && SHA256_HEX.test(meta.name)) found.push({ sha256: meta.name, storedAt: meta.writtenAt });
    }
    return found;
  }

  /** Removes a package; does nothing when it is not there. A reader that is under way fails. @throws BusError */
  async delete(sha256: string): Promise<void> {
    const object = await this.#find(sha256);
    if (!object) return;
    await this.#bus.use(`removing package ${sha256}`, ({ manager }) => removeObject(manager, object));
  }

  async #find(sha256: string) {
    if (!SHA256_HEX.test(sha256))
      throw new BusError(`${JSON.stringify(sha256.slice(0, 80))} is no SHA-256 in lower-case hex`, { retryable: false });
    const object = await findObject(this.#bus, BUCKET, sha256);
    // Stored under a name that is not its digest: not by us, and never to be run.
    if (object && object.sha256 !== sha256)
      throw new BusError(`package ${sha256}: the store holds other content under this name`, { retryable: false });
    return object;
  }
}

/** Passes the content on and fails at its end unless it has the digest: the store then keeps nothing of it. */
function verified(content: ReadableStream<Uint8Array>, sha256: string): ReadableStream<Uint8Array> {
  const hash = createHash("sha256");
  return content.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        hash.update(piece);
        controller.enqueue(piece);
      },
      flush() {
        const actual = hash.digest("hex");
        if (actual !== sha256) throw new BusError(`storing package ${sha256}: the content has digest ${actual}`, { retryable: false });
      },
    }),
  );
}
