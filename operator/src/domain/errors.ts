/**
 * The catalogue of errors that a person can see. Every one says what is wrong and what to do; docs/reference/errors.md is
 * generated from here and a test compares the two. Lambda's own error types and texts are kept where Lambda has one.
 */

export interface CatalogueEntry {
  /** Lambda's exception name when the error travels over Lambda's API. */
  lambdaType?: string;
  /** HTTP status on Lambda's API. */
  status?: number;
  /** What is wrong, in one sentence. */
  meaning: string;
  /** What to do about it. */
  remedy: string;
  /** Whether trying the same again later can succeed without anybody changing anything. */
  retryable: boolean;
}

const entry = (e: CatalogueEntry): CatalogueEntry => e;

export const CATALOGUE = {
  // --- Lambda's API (codes K1xx) ---
  K100: entry({
    lambdaType: "ResourceNotFoundException",
    status: 404,
    meaning: "The function, version or alias does not exist in this account.",
    remedy: "Check the name and the qualifier: kubectl get fn -n NAMESPACE.",
    retryable: false,
  }),
  K101: entry({
    lambdaType: "InvalidRequestContentException",
    status: 400,
    meaning: "The payload is not valid JSON.",
    remedy: "Send a JSON document; with version 2 of the aws-cli add --cli-binary-format raw-in-base64-out.",
    retryable: false,
  }),
  K102: entry({
    lambdaType: "RequestTooLargeException",
    status: 413,
    meaning: "The payload is larger than an invocation may carry.",
    remedy: "Send at most 6,291,456 bytes; pass larger data by reference.",
    retryable: false,
  }),
  K103: entry({
    lambdaType: "InvalidParameterValueException",
    status: 400,
    meaning: "A parameter of the request has a value that is not allowed.",
    remedy: "Correct the parameter that the message names.",
    retryable: false,
  }),
  K104: entry({
    lambdaType: "ResourceConflictException",
    status: 409,
    meaning: "The function is not in a state in which it can be invoked.",
    remedy: "Wait until it is Active: kubectl wait --for=condition=Ready function/NAME.",
    retryable: true,
  }),
  K105: entry({
    lambdaType: "TooManyRequestsException",
    status: 429,
    meaning: "A concurrency or rate limit was reached.",
    remedy: "Retry with back-off, or raise the limit that Reason names.",
    retryable: true,
  }),
  K106: entry({
    lambdaType: "ServiceException",
    status: 500,
    meaning: "Kappa could not run the function although nothing was wrong with the request.",
    remedy: "Retry; if it persists, look at the gateway's log for the request id.",
    retryable: true,
  }),
  K107: entry({
    lambdaType: "InvalidZipFileException",
    status: 502,
    meaning: "The function's package cannot be unpacked or is not the one that was declared.",
    remedy: "Upload the package again; kubectl describe fn NAME shows what is wrong with it.",
    retryable: false,
  }),
  K108: entry({
    lambdaType: "AccessDeniedException",
    status: 403,
    meaning: "The caller is known but may not do this.",
    remedy:
      "Grant its ServiceAccount 'create' on functions/invoke of kappa.dev in the namespace ('get' on functions/billing for the report).",
    retryable: false,
  }),
  K109: entry({
    lambdaType: "UnrecognizedClientException",
    status: 403,
    meaning: "The access key or token is not known.",
    remedy: "Use an access key from a Secret of type kappa.dev/access-key in an enabled namespace, or a valid token.",
    retryable: false,
  }),
  K110: entry({
    lambdaType: "InvalidSignatureException",
    status: 403,
    meaning: "The request's signature does not match.",
    remedy: "Check the secret access key and the clock of the caller.",
    retryable: false,
  }),
  K111: entry({
    lambdaType: "MissingAuthenticationTokenException",
    status: 403,
    meaning: "The request carries neither a signature nor a token.",
    remedy: "Configure credentials; for kubectl users: a bearer token.",
    retryable: false,
  }),
  K112: entry({
    lambdaType: "UnsupportedMediaTypeException",
    status: 415,
    meaning: "The content type is not supported.",
    remedy: "Send application/json or leave the header out.",
    retryable: false,
  }),
  K113: entry({
    lambdaType: "UnknownOperationException",
    status: 404,
    meaning: "The path and method are no operation of Lambda's API that Kappa serves.",
    remedy:
      "Invoke and InvokeWithResponseStream are served: POST /2015-03-31/functions/NAME/invocations. Everything else is done with kubectl.",
    retryable: false,
  }),
  K114: entry({
    lambdaType: "InvalidRuntimeException",
    status: 502,
    meaning: "The function's runtime is not one that this installation has.",
    remedy: "Use one of the runtimes that the message lists, or add an image for it to the chart's values.",
    retryable: false,
  }),
  K115: entry({
    lambdaType: "InvalidParameterValueException",
    status: 400,
    meaning: "Asynchronous invocation (InvocationType Event) is not served by this release.",
    remedy: "Invoke with InvocationType RequestResponse.",
    retryable: false,
  }),
  K116: entry({
    lambdaType: "IncompleteSignatureException",
    status: 400,
    meaning: "The Authorization header is not a complete Signature Version 4.",
    remedy: "Sign with an AWS SDK, the aws-cli or curl --aws-sigv4; a proxy in between must not change the header.",
    retryable: false,
  }),
  K117: entry({
    lambdaType: "ExpiredTokenException",
    status: 403,
    meaning: "The credentials of an execution role have expired, or the environment that they were given to has ended.",
    remedy: "Credentials of a function are good inside its environment only: do not keep them elsewhere.",
    retryable: false,
  }),
  // --- Packages (codes K2xx) ---
  K200: entry({
    lambdaType: "InvalidParameterValueException",
    status: 400,
    meaning: "The package is not a readable zip archive.",
    remedy: "Make the archive again; its end is often missing after an interrupted upload.",
    retryable: false,
  }),
  K201: entry({
    lambdaType: "InvalidParameterValueException",
    status: 400,
    meaning: "The package unpacks to more than 262,144,000 bytes.",
    remedy: "Remove what the function does not need, or use a container image.",
    retryable: false,
  }),
  K202: entry({
    lambdaType: "InvalidParameterValueException",
    status: 400,
    meaning: "The package has an entry that would leave its root (.., an absolute name or a link).",
    remedy: "Make the archive from inside the function's folder, without links out of it.",
    retryable: false,
  }),
  K203: entry({
    lambdaType: "InvalidParameterValueException",
    status: 400,
    meaning: "The package's SHA-256 is not the declared one.",
    remedy: "Declare the digest of the file that is really there.",
    retryable: false,
  }),
  K204: entry({
    meaning: "The package could not be fetched from its source.",
    remedy: "Check that the source named in spec.code exists and can be reached from the controller.",
    retryable: true,
  }),
  K205: entry({
    lambdaType: "RequestEntityTooLargeException",
    status: 413,
    meaning: "The zipped package is too large.",
    remedy: "Use a smaller package, an object store or a container image.",
    retryable: false,
  }),
  K206: entry({
    lambdaType: "InvalidParameterValueException",
    status: 400,
    meaning:
      "The package has an entry that cannot be unpacked (encrypted, duplicate, conflicting, a special file or an unknown compression).",
    remedy: "Make the archive again with a plain zip tool (stored or deflated entries, no password, every name once).",
    retryable: false,
  }),
  // --- Configuration and start-up of Kappa's own processes (codes K3xx) ---
  K300: entry({
    meaning: "A setting of this process is missing or not valid.",
    remedy: "Correct the environment variable or the chart value that the message names.",
    retryable: false,
  }),
  K301: entry({
    meaning: "The Kubernetes API did not answer or refused the request.",
    remedy: "Check the API server and the RBAC of the identity that the message names.",
    retryable: true,
  }),
  K302: entry({
    meaning: "NATS could not be reached or refused the request.",
    remedy: "Check the NATS pods: kubectl get pods -n kappa-system.",
    retryable: true,
  }),
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof CATALOGUE;

/** An error with a code of the catalogue. `message` says what is wrong here; the catalogue says what to do. */
export class KappaError extends Error {
  override name = "KappaError";
  readonly code: ErrorCode;
  /** Extra members of Lambda's error body, such as `Reason` of a 429. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  get entry(): CatalogueEntry {
    return CATALOGUE[this.code];
  }

  get retryable(): boolean {
    return this.entry.retryable;
  }
}

/** Why a request was not admitted, as Lambda names it (shape ThrottleReason of Lambda's API model). */
export type ThrottleReason =
  | "ConcurrentInvocationLimitExceeded"
  | "FunctionInvocationRateLimitExceeded"
  | "ReservedFunctionConcurrentInvocationLimitExceeded"
  | "ReservedFunctionInvocationRateLimitExceeded"
  | "CallerRateLimitExceeded";

/**
 * A limit was reached.
 * @param retryAfterSeconds when it is worth trying again
 */
export function throttled(reason: ThrottleReason, retryAfterSeconds = 1): KappaError {
  return new KappaError("K105", "Rate Exceeded.", { details: { Reason: reason, retryAfterSeconds: String(retryAfterSeconds) } });
}

/** There is no room for a caller's request now: not its function's limit is reached, but ours for what is held or asked for at once. */
export function callerThrottled(): KappaError {
  return throttled("CallerRateLimitExceeded");
}
