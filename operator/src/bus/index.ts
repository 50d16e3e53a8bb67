/** The adapter to NATS: nothing else talks to it. */
import { BillingStore } from "./billing.ts";
import { BusConnection, type BusOptions } from "./connection.ts";
import { BusError } from "./errors.ts";
import { findObject, readObject } from "./object-reader.ts";
import { PackageStore } from "./packages.ts";

export type { BillingStore } from "./billing.ts";
export type { BusOptions, BusStatus } from "./connection.ts";
export { BusError } from "./errors.ts";
export type { PackageStore } from "./packages.ts";

/** Kappa's internal account. */
export interface Bus {
  /** Whether NATS can be reached now. */
  readonly connected: boolean;
  readonly packages: PackageStore;
  readonly billing: BillingStore;
  close(): Promise<void>;
}

/** The account of functions and their owners. */
export interface UserBus {
  readonly connected: boolean;
  /**
   * Opens an object. `bucket` is the full name, `<namespace>_<bucket>`: the caller decides whose it may be. Links are refused. The
   * stream fails with a BusError when what comes is not what the object's digest says: use nothing of it before its end.
   * @throws BusError with `notFound`
   */
  openObject(bucket: string, key: string): Promise<{ size: number; stream: ReadableStream<Uint8Array> }>;
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
    billing: new BillingStore(connection, options.replicas ?? 1),
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
    async openObject(bucket, key) {
      const object = await findObject(connection, bucket, key);
      if (!object) throw new BusError(`object ${key} of bucket ${bucket} does not exist`, { retryable: false, notFound: true });
      return { size: object.size, stream: readObject(connection, object) };
    },
    close: () => connection.close(),
  };
}
