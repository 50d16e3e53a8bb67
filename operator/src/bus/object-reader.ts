import { createHash } from "node:crypto";
import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from "@nats-io/jetstream";
import { Base64UrlPaddedCodec } from "@nats-io/obj";
import type { BusConnection, JetStream } from "./connection.ts";
import { BusError } from "./errors.ts";

/** What is known of a stored object before it is read. */
export interface StoredObject {
  bucket: string;
  name: string;
  /** Bytes. */
  size: number;
  /** SHA-256 of the content, hex, as the writer declared it. */
  sha256: string;
  /** Identifies this content among those that the name had. */
  nuid: string;
  /** Sequence of the message that says all this. */
  sequence: number;
}

/** Buckets are parts of subjects: nothing that NATS could take for a wildcard or a separator. */
const BUCKET = /^[A-Za-z0-9_-]{1,255}$/;
const DIGEST_PREFIX = "SHA-256=";
/** Tries for one chunk; with the time one call takes to fail, a download outlives a restart of NATS. */
const CHUNK_ATTEMPTS = 4;

/**
 * Looks an object up. Links are not followed: they lead to other buckets, and a bucket's name is what a reader was admitted for.
 * @returns undefined when the bucket or the object is not there
 * @throws BusError
 */
export async function findObject(bus: BusConnection, bucket: string, name: string): Promise<StoredObject | undefined> {
  const what = `object ${name} of bucket ${bucket}`;
  if (!BUCKET.test(bucket)) throw new BusError(`${what}: a bucket is named with letters, digits, - and _`, { retryable: false });
  return bus.use(`looking up ${what}`, async ({ manager }) => {
    // Asked of the stream's leader: a replica may not have heard yet of what was just written.
    const message = await absentAsNull(manager.streams.getMessage(streamOf(bucket), { last_by_subj: metaSubject(bucket, name) }));
    if (!message) return undefined;
    const info: unknown = message.json();
    if (isDeleted(info)) return undefined;
    const object = decodeInfo(info);
    if (!object) throw new BusError(`${what}: is a link, or was not written as an object of this kind`, { retryable: false });
    return { bucket, name, sequence: message.seq, ...object };
  });
}

/** The content, piece by piece as it is wanted. The stream fails with a BusError unless exactly the declared content came. */
export function readObject(bus: BusConnection, object: StoredObject): ReadableStream<Uint8Array> {
  const what = `reading object ${object.name} of bucket ${object.bucket}`;
  const subject = `$O.${object.bucket}.C.${object.nuid}`;
  const hash = createHash("sha256");
  let read = 0;
  let sequence = 1;
  const damaged = (message: string) => new BusError(`${what}: ${message}`, { retryable: false });
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (read < object.size) {
          const chunk = await nextChunk(bus, what, object.bucket, subject, sequence);
          // Somebody replaced or deleted the object: its chunks went away under us. Another look-up finds the new ones.
          if (!chunk) throw new BusError(`${what}: ended after ${read} of ${object.size} bytes`, { retryable: true });
          sequence = chunk.sequence + 1;
          read += chunk.data.length;
          hash.update(chunk.data);
          if (read > object.size) throw damaged(`has more than the declared ${object.size} bytes`);
          if (chunk.data.length > 0) controller.enqueue(chunk.data);
        }
        if (read === object.size) {
          const sha256 = hash.digest("hex");
          if (sha256 !== object.sha256) throw damaged(`the content has digest ${sha256}, declared was ${object.sha256}`);
          controller.close();
        }
      },
    },
    // One piece is fetched ahead while the last is used.
    { highWaterMark: 2 },
  );
}

/** Subjects under which a bucket describes its objects; empty when there is no bucket. */
export async function listMetaSubjects(manager: JetStreamManager, bucket: string): Promise<string[]> {
  const info = await absentAsNull(manager.streams.info(streamOf(bucket), { subjects_filter: `$O.${bucket}.M.>` }));
  return Object.keys(info?.state.subjects ?? {});
}

/** Name of the object that a subject of {@link listMetaSubjects} describes, and when it was written, epoch milliseconds. Undefined when it is gone. */
export async function readMeta(
  manager: JetStreamManager,
  bucket: string,
  subject: string,
): Promise<{ name: string; writtenAt: number } | undefined> {
  const message = await absentAsNull(manager.streams.getMessage(streamOf(bucket), { last_by_subj: subject }));
  const info: unknown = message?.json();
  if (!message || isDeleted(info) || typeof info !== "object" || info === null || !("name" in info)) return undefined;
  return { name: String(info.name), writtenAt: message.time.getTime() };
}

/**
 * Takes an object out as if it had never been: stock leaves a mark of deletion for ever, and buckets of digests would fill with them.
 * Only what was looked up goes: an object that was written under the name meanwhile stays.
 */
export async function removeObject(manager: JetStreamManager, object: StoredObject): Promise<void> {
  const stream = streamOf(object.bucket);
  // The description first: what is left when this breaks off is chunks that nobody finds, not an object without its content.
  await manager.streams.purge(stream, { filter: metaSubject(object.bucket, object.name), seq: object.sequence + 1 });
  await manager.streams.purge(stream, { filter: `$O.${object.bucket}.C.${object.nuid}` });
}

async function nextChunk(bus: BusConnection, what: string, bucket: string, subject: string, sequence: number) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await bus.use(what, (js) => fetchChunk(js, streamOf(bucket), subject, sequence));
    } catch (error) {
      if (attempt === CHUNK_ATTEMPTS || !(error instanceof BusError && error.retryable)) throw error;
    }
  }
}

/** One message each: unlike a consumer, it leaves nothing on the server, needs no flow control and can be asked for again. */
async function fetchChunk({ manager }: JetStream, stream: string, subject: string, seq: number) {
  const query = { next_by_subj: subject, seq };
  // Direct: raw bytes, from any replica. One that lags behind may not have it; the leader has.
  const message = (await manager.direct.getMessage(stream, query)) ?? (await absentAsNull(manager.streams.getMessage(stream, query)));
  return message ? { data: message.data, sequence: message.seq } : undefined;
}

const streamOf = (bucket: string): string => `OBJ_${bucket}`;

/** ADR-20 of NATS: the name is in padded base64url. */
const metaSubject = (bucket: string, name: string): string => `$O.${bucket}.M.${Base64UrlPaddedCodec.encode(name)}`;

async function absentAsNull<T>(answer: Promise<T | null>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (
      error instanceof JetStreamApiError &&
      (error.code === JetStreamApiCodes.NoMessageFound || error.code === JetStreamApiCodes.StreamNotFound)
    )
      return null;
    throw error;
  }
}

function isDeleted(info: unknown): boolean {
  return typeof info === "object" && info !== null && "deleted" in info && info.deleted === true;
}

function decodeInfo(info: unknown): Pick<StoredObject, "size" | "sha256" | "nuid"> | undefined {
  if (typeof info !== "object" || info === null) return undefined;
  const { size, digest, nuid, options } = info as { size?: unknown; digest?: unknown; nuid?: unknown; options?: { link?: unknown } | null };
  if (options?.link !== undefined && options.link !== null) return undefined;
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) return undefined;
  if (typeof nuid !== "string" || !/^[A-Za-z0-9]+$/.test(nuid)) return undefined;
  if (typeof digest !== "string" || !digest.startsWith(DIGEST_PREFIX)) return undefined;
  const sha256 = Buffer.from(digest.slice(DIGEST_PREFIX.length), "base64url").toString("hex");
  return sha256.length === 64 ? { size, sha256, nuid } : undefined;
}
