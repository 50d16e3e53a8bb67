import { KappaError } from "../domain/errors.ts";

/** Status 0: no answer came (refused, reset, timed out). */
export const NO_ANSWER = 0;

/** A `Status` object, the API server's way to say no. */
export interface ApiStatus {
  kind?: string;
  code?: number;
  reason?: string;
  message?: string;
}

const RETRYABLE_STATUS = new Set([NO_ANSWER, 408, 409, 410, 429, 500, 502, 503, 504]);

/**
 * The Kubernetes API refused a request or did not answer. `status` is the HTTP status, or 0 when there was no answer;
 * `reason` the API's reason (`NotFound`, `Conflict`, `Invalid` …) or, without an answer, the code of the failure.
 */
export class KubeError extends KappaError {
  override name = "KubeError";
  readonly status: number;
  readonly reason: string;

  constructor(message: string, at: { status: number; reason: string }, cause?: unknown) {
    super("K301", message, cause === undefined ? {} : { cause });
    this.status = at.status;
    this.reason = at.reason;
  }

  /** Whether the same intent can succeed later: read again (409, 410) or wait. `AlreadyExists` stays until somebody deletes. */
  override get retryable(): boolean {
    return RETRYABLE_STATUS.has(this.status) && this.reason !== "AlreadyExists";
  }

  get notFound(): boolean {
    return this.status === 404;
  }

  /** Somebody else wrote in between: read again and decide anew. */
  get conflict(): boolean {
    return this.status === 409 && this.reason !== "AlreadyExists";
  }

  get alreadyExists(): boolean {
    return this.status === 409 && this.reason === "AlreadyExists";
  }

  /** The resource version asked for is no longer kept: list again. */
  get gone(): boolean {
    return this.status === 410;
  }
}
