import { type Dispatcher, Pool } from "undici";
import { type Clock, sleep } from "./clock.ts";
import type { CredentialSource, Credentials } from "./credentials.ts";
import { type ApiStatus, KubeError, NO_ANSWER } from "./errors.ts";

export interface TransportOptions {
  source: CredentialSource;
  /** Connections for calls; watches have one each besides. */
  connections: number;
  userAgent: string;
  clock: Clock;
}

export interface TransportRequest {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path with query, as the API knows it. */
  path: string;
  body?: string | undefined;
  contentType?: string;
  /** Media type of the answer. Default: JSON. */
  accept?: string | undefined;
  /** Milliseconds until the answer must be complete; of a watch: until its headers must have come. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface Answer {
  status: number;
  text: string;
}

/** How long credentials are used before they are read again: the interval of client-go's token source. */
const CREDENTIALS_TTL_MS = 60_000;
/** Below the API server's own idle time-out of 90 s, so that it never closes a connection that we are about to use. */
const KEEP_ALIVE_MS = 60_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** How often a request that the API server asked to come later (429, priority and fairness) is sent again before the caller hears of it. */
const THROTTLED_ATTEMPTS = 3;

interface Connection {
  credentials: Credentials;
  calls: Dispatcher;
  watches: Dispatcher;
  /** Path prefix of the server's URL. */
  prefix: string;
}

/** HTTP/1.1 to one API server over kept connections, with credentials that follow their rotation. */
export class Transport {
  #options: TransportOptions;
  #connection: Connection | undefined;
  #loadedAt = Number.NEGATIVE_INFINITY;
  #loading: Promise<Connection> | undefined;
  #closed = false;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** Sends a request and reads the whole answer. @throws KubeError for everything but a 2xx. */
  async call(request: TransportRequest): Promise<Answer> {
    const deadline = new Deadline(request);
    try {
      return await Promise.race([this.#call(request, deadline.signal), deadline.passed]);
    } catch (error) {
      throw asKubeError(request, error, deadline);
    } finally {
      deadline.clear();
    }
  }

  /** Opens a stream: resolves once the headers have come. The caller consumes or destroys the body. @throws KubeError */
  async stream(request: TransportRequest): Promise<Dispatcher.ResponseData["body"]> {
    const deadline = new Deadline(request);
    const opening = this.#open(request, deadline.signal);
    try {
      return await Promise.race([opening, deadline.passed]);
    } catch (error) {
      // Should it come after all, nobody will read it.
      opening.then((body) => body.destroy()).catch(() => {});
      throw asKubeError(request, error, deadline);
    } finally {
      // From here on only the caller's own signal ends the stream; it destroys the body.
      deadline.clear();
    }
  }

  /** PEM of the authority that the server's certificate is checked with; empty when none is configured. */
  async certificateAuthority(): Promise<string> {
    const { credentials } = await this.#current();
    return String(credentials.tls.ca ?? "");
  }

  /** Ends every connection. Requests under way fail. */
  async close(): Promise<void> {
    this.#closed = true;
    const connection = this.#connection ?? (await this.#loading?.catch(() => undefined));
    this.#connection = undefined;
    if (connection) await Promise.all([connection.calls.destroy(), connection.watches.destroy()]);
  }

  async #call(request: TransportRequest, signal: AbortSignal): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#send(request, signal, false);
      const text = await answer.body.text();
      if (answer.statusCode < 300) return { status: answer.statusCode, text };
      const wait = attempt < THROTTLED_ATTEMPTS && answer.statusCode === 429 ? retryAfterMs(answer) : undefined;
      if (wait === undefined) throw refusal(request, answer.statusCode, text);
      await sleep(this.#options.clock, wait, signal);
    }
  }

  async #open(request: TransportRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData["body"]> {
    const answer = await this.#send(request, signal, true);
    if (answer.statusCode >= 300) throw refusal(request, answer.statusCode, await answer.body.text());
    return answer.body;
  }

  async #send(request: TransportRequest, signal: AbortSignal, stream: boolean): Promise<Dispatcher.ResponseData> {
    const connection = await this.#current();
    const answer = await this.#dispatch(connection, request, signal, stream);
    if (answer.statusCode !== 401) return answer;
    // The token may have been replaced since it was read: read it again, and ask once more if it is another one.
    this.#loadedAt = Number.NEGATIVE_INFINITY;
    const renewed = await this.#current();
    if (renewed.credentials.headers.authorization === connection.credentials.headers.authorization && renewed.calls === connection.calls)
      return answer;
    await answer.body.dump();
    return this.#dispatch(renewed, request, signal, stream);
  }

  async #dispatch(connection: Connection, request: TransportRequest, signal: AbortSignal, stream: boolean) {
    const headers: Record<string, string> = {
      ...connection.credentials.headers,
      // Objects come as JSON; documents such as the signing keys have only a type of their own.
      accept: request.accept ?? "application/json, */*",
      "user-agent": this.#options.userAgent,
    };
    if (request.body !== undefined) headers["content-type"] = request.contentType ?? "application/json";
    const options: Dispatcher.RequestOptions = {
      method: request.method,
      path: connection.prefix + request.path,
      headers,
      body: request.body ?? null,
      signal,
      // The deadline above is exact and covers the wait for a free connection too; a watch may be silent for long.
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    const dispatcher = stream ? connection.watches : connection.calls;
    try {
      return await dispatcher.request(options);
    } catch (error) {
      // A kept connection that the server just closed. Everything but POST means the same when it is said twice.
      if (request.method === "POST" || signal.aborted || !isReset(error)) throw error;
      return dispatcher.request(options);
    }
  }

  async #current(): Promise<Connection> {
    if (this.#closed) throw new KubeError("this client has been closed", { status: NO_ANSWER, reason: "Closed" });
    const { clock } = this.#options;
    if (this.#connection && clock.monotonic() - this.#loadedAt < CREDENTIALS_TTL_MS) return this.#connection;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #load(): Promise<Connection> {
    const previous = this.#connection;
    const credentials = await this.#options.source();
    this.#loadedAt = this.#options.clock.monotonic();
    if (previous?.credentials.fingerprint === credentials.fingerprint) {
      this.#connection = { ...previous, credentials };
      return this.#connection;
    }
    const url = new URL(credentials.server);
    const pool = (connections: number | null) =>
      new Pool(url.origin, {
        connections,
        pipelining: 1,
        // One HTTP/2 session would serialise every watch behind one flow-control window; see ADR 0003.
        allowH2: false,
        keepAliveTimeout: KEEP_ALIVE_MS,
        keepAliveMaxTimeout: KEEP_ALIVE_MS,
        connectTimeout: CONNECT_TIMEOUT_MS,
        connect: { ...credentials.tls, timeout: CONNECT_TIMEOUT_MS, keepAlive: true, keepAliveInitialDelay: 30_000 },
      });
    this.#connection = {
      credentials,
      calls: pool(this.#options.connections),
      watches: pool(null),
      prefix: url.pathname.replace(/\/+$/, ""),
    };
    if (previous) {
      // Calls under way end by themselves; watches are cut and resume with the new certificates.
      void previous.calls.close();
      void previous.watches.destroy();
    }
    return this.#connection;
  }
}

/**
 * The end of a request's time. Its signal frees the connection; `passed` frees the caller at once, because undici looks at the signal
 * of a request that waits for a connection only when it gets one.
 */
class Deadline {
  readonly passed: Promise<never>;
  timedOut = false;
  #controller = new AbortController();
  #timer: NodeJS.Timeout;
  #caller: AbortSignal | undefined;
  #abort: () => void;

  constructor(request: TransportRequest) {
    const { promise, reject } = Promise.withResolvers<never>();
    this.passed = promise;
    // Whoever races against it hears of it; afterwards nobody needs to.
    promise.catch(() => {});
    const end = (reason: unknown) => {
      this.#controller.abort(reason);
      reject(reason);
    };
    this.#caller = request.signal;
    this.#abort = () => end(request.signal?.reason);
    this.#timer = setTimeout(() => {
      this.timedOut = true;
      end(new Error(`no answer within ${request.timeoutMs} ms`));
    }, request.timeoutMs);
    if (this.#caller?.aborted) this.#abort();
    else this.#caller?.addEventListener("abort", this.#abort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener("abort", this.#abort);
  }
}

function retryAfterMs(answer: Dispatcher.ResponseData): number | undefined {
  const header = answer.headers["retry-after"];
  const seconds = Number(header);
  return typeof header === "string" && Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

/** Codes of a connection that ended before it answered. */
const RESET_CODES = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"]);

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

const isReset = (error: unknown): boolean => RESET_CODES.has(codeOf(error) ?? "");

const describe = (request: TransportRequest): string => `${request.method} ${request.path.split("?", 1)[0]}`;

function refusal(request: TransportRequest, status: number, text: string): KubeError {
  let answer: ApiStatus = {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) answer = parsed as ApiStatus;
  } catch {
    // Not a Status: a proxy in between, or an API server that is starting.
  }
  const message = typeof answer.message === "string" ? answer.message : text.slice(0, 500);
  const reason = typeof answer.reason === "string" && answer.reason !== "" ? answer.reason : `HTTP${status}`;
  return new KubeError(`${describe(request)}: ${status} ${reason}: ${message}`, { status, reason });
}

function asKubeError(request: TransportRequest, error: unknown, deadline: Deadline): Error {
  if (error instanceof KubeError) return error;
  // Configuration errors (K300) name their own remedy.
  if (error instanceof Error && error.name === "KappaError") return error;
  if (deadline.timedOut)
    return new KubeError(`${describe(request)}: no answer within ${request.timeoutMs} ms`, { status: NO_ANSWER, reason: "Timeout" }, error);
  if (request.signal?.aborted)
    return new KubeError(`${describe(request)}: given up by the caller`, { status: NO_ANSWER, reason: "Aborted" }, error);
  const code = codeOf(error) ?? "Unreachable";
  const message = error instanceof Error && error.message !== "" ? error.message : code;
  return new KubeError(`${describe(request)}: ${message}`, { status: NO_ANSWER, reason: code }, error);
}
