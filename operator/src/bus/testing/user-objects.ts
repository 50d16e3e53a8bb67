import { Objm } from "@nats-io/obj";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";

/** Writes an object as the owner of a bucket would, with stock tools; makes the bucket when it is missing. */
export async function putUserObject(as: { url: string; seed: string }, bucket: string, name: string, bytes: Uint8Array): Promise<void> {
  const connection = await connect({ servers: as.url, authenticator: nkeyAuthenticator(new TextEncoder().encode(as.seed)) });
  try {
    const store = await new Objm(connection).create(bucket);
    await store.putBlob({ name }, bytes);
  } finally {
    await connection.close();
  }
}
