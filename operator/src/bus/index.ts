/** The adapter to NATS: nothing else talks to it. */
import { BusConnection, type BusOptions } from "./connection.ts";
import { BusError } from "./errors.ts";
import { findObject, readObject } from "./object-reader.ts";
import { PackageStore } from "./packages.ts";

export type { BusOptions, BusStatus } from "./connection.ts";
export { BusError } from "./errors.ts";
export type { PackageStore } from "./packages.ts";

/** Kappa's internal account. */
export interface Bus {
  /** Whether NATS can be reached now. */
  readonly connected: boolean;
  readonly packages: PackageStore;
  close(): Promise<void>;
}

/** The account of functions and their owners. */
export interface UserBus {
  readonly connected: boolean;
  /**
   * Reads an object whole. `bucket` is the full name, `<namespace>_<bucket>`: the caller decides whose it may be. Links are refused.
   * @throws BusError with `notFound`; not retryable when it is larger than `maxBytes` or its content is not what its digest says
   */
  readObject(bucket: string, key: string, maxBytes: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Connects to the internal account and stays connected for ever; see {@link BusOptions} for what happens while NATS is away. */
export async function connectBus(options: BusOptions & { replicas?: number }): Promise<Bus> {
  const connection = await BusConnection.open(options);
  return {
    get connected() {
      return connection.connected;
    },
    packages: new PackageStore(connection, options.replicas ?? 1),
    close: () => connection.close(),
  };
}

/** Connects to the users' account and stays connected for ever. */
export async function connectUserBus(options: BusOptions): Promise<UserBus> {
  const connection = await BusConnection.open(options);
  return {
    get connected() {
      return connection.connected;
    },
    async readObject(bucket, key, maxBytes) {
      const object = await findObject(connection, bucket, key);
      const what = `object ${key} of bucket ${bucket}`;
      if (!object) throw new BusError(`${what} does not exist`, { retryable: false, notFound: true });
      if (object.size > maxBytes) throw new BusError(`${what} has ${object.size} bytes, allowed are ${maxBytes}`, { retryable: false });
      const bytes = new Uint8Array(object.size);
      let offset = 0;
      for await (const piece of readObject(connection, object)) {
        bytes.set(piece, offset);
        offset += piece.length;
      }
      return bytes;
    },
    close: () => connection.close(),
  };
}
