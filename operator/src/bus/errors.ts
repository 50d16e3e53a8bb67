import { JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import { errors as natsErrors } from "@nats-io/transport-node";
import { KappaError } from "../domain/errors.ts";

/** NATS refused something or could not be reached. */
export class BusError extends KappaError {
  override name = "BusError";
  /** What was asked for does not exist: the bucket, or the object in it. */
  readonly notFound: boolean;
  readonly #retryable: boolean;

  constructor(message: string, is: { retryable: boolean; notFound?: boolean }, cause?: unknown) {
    super("K302", message, cause === undefined ? {} : { cause });
    this.notFound = is.notFound ?? false;
    this.#retryable = is.retryable;
  }

  /** Whether the same can succeed later: NATS is away, restarting or overloaded. */
  override get retryable(): boolean {
    return this.#retryable;
  }
}

/** The BusError for whatever an operation threw. `what` says what was tried: `reading object x`. */
export function asBusError(what: string, error: unknown): BusError {
  if (error instanceof BusError) return error;
  const message = `${what}: ${error instanceof Error ? error.message : String(error)}`;
  const missing: number[] = [JetStreamApiCodes.StreamNotFound, JetStreamApiCodes.NoMessageFound];
  if (error instanceof JetStreamApiError) {
    // 4xx says that the request is wrong and will stay so; 5xx that the server cannot now (docs.nats.io, "JetStream API error codes").
    return new BusError(message, { retryable: error.status >= 500, notFound: missing.includes(error.code) }, error);
  }
  const refused = error instanceof natsErrors.PermissionViolationError || error instanceof natsErrors.InvalidArgumentError;
  return new BusError(message, { retryable: !refused }, error);
}
