/** The Runtime API on loopback: HTTP around the transition function of state.ts. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { MAX_STREAMED } from "../../../../operator/src/api/environment-protocol.ts";
import { http } from "../builtins.ts";
import { MAX_REQUEST_HEADER_BYTES, MAX_RESPONSE_BYTES, MAX_RUNTIME_CONNECTIONS } from "../limits.ts";
import type { ResponseStream, StreamEnd, StreamSource } from "./response-stream.ts";
import { type Call, route } from "./routes.ts";
import { broken, decide, INVALID_RESPONSE_MODE, type Refusal, type RuntimeState, received, tooLarge } from "./state.ts";

/** An event on its way to the runtime. */
export interface DeliveredEvent {
  requestId: string;
  /** Epoch milliseconds. */
  deadlineMs: number;
  invokedFunctionArn: string;
  traceId?: string;
  clientContext?: string;
  cognitoIdentity?: string;
  payload: Uint8Array;
}

/** What the runtime told. Bodies come as they arrived, in pieces, and are passed on unread. */
export interface RuntimeApiHandler {
  /** The runtime waits for an event. */
  ready(): void;
  response(body: Uint8Array[]): void;
  /** The runtime streams its response. */
  stream(source: StreamSource): ResponseStream;
  /** The response, or the error, was over {@link MAX_RESPONSE_BYTES}. */
  tooLarge(): void;
  /** The response has a mode that there is not; its body is not read. */
  invalidMode(): void;
  error(errorType: string, body: Uint8Array[]): void;
  initError(errorType: string, body: Uint8Array[]): void;
}

const NOTHING = new Uint8Array();
const OK = '{"status":"OK"}\n';
const MODE_HEADER = "lambda-runtime-function-response-mode";
const ERROR_BODY_TRAILER = "lambda-runtime-function-error-body";
const ERROR_TYPE_HEADER = "lambda-runtime-function-error-type";

/** Error types are metrics labels later on: anything odd becomes one known value. */
const ERROR_TYPE = /^[\w.-]{1,128}$/;

/** Serves one runtime process at a time; {@link RuntimeApi.reset} forgets the former one. */
export class RuntimeApi {
  readonly #handler: RuntimeApiHandler;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #settled: (() => void) | undefined;
  #state: RuntimeState = "Started";
  #event: DeliveredEvent | undefined;
  /** The `next` that is waiting for an event. */
  #waiting: ServerResponse | undefined;
  /** Counts the runtimes served so far. */
  #run = 0;
  /** An event that was given while no `next` was waiting, because its connection had broken. */
  #undelivered = false;

  constructor(handler: RuntimeApiHandler) {
    this.#handler = handler;
    this.#server = http.createServer({ maxHeaderSize: MAX_REQUEST_HEADER_BYTES, noDelay: true, keepAlive: false }, (request, response) =>
      this.#serve(request, response),
    );
    // "next" never times out, and a frozen runtime keeps its connection.
    this.#server.requestTimeout = 0;
    this.#server.headersTimeout = 0;
    this.#server.keepAliveTimeout = 0;
    this.#server.maxConnections = MAX_RUNTIME_CONNECTIONS;
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => {
        this.#sockets.delete(socket);
        if (this.#sockets.size === 0) this.#settled?.();
      });
    });
  }

  /** @returns `host:port` for AWS_LAMBDA_RUNTIME_API */
  async listen(port: number): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject);
    this.#server.listen(port, "127.0.0.1", resolve);
    await promise;
    const { address, port: bound } = this.#server.address() as AddressInfo;
    return `${address}:${bound}`;
  }

  close(): void {
    this.reset();
    this.#server.close();
  }

  /** Forgets the runtime: its connections are cut, so that nothing a killed process still sent is taken for the next one's. */
  reset(): void {
    this.#run++;
    this.#state = "Started";
    this.#event = undefined;
    this.#waiting = undefined;
    this.#undelivered = false;
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  /** Resolves when the runtime's connections are closed and all that it sent was read, or after `limitMs`. */
  async settled(limitMs: number): Promise<void> {
    if (this.#sockets.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#settled = resolve;
    const timer = setTimeout(resolve, limitMs);
    await promise;
    clearTimeout(timer);
    this.#settled = undefined;
  }

  /** Gives the runtime an event. To be called once after each `ready`. */
  deliver(event: DeliveredEvent): void {
    this.#event = event;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) {
      this.#state = "Running";
      sendEvent(waiting, event);
    } else this.#undelivered = true;
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const target = route(request.method ?? "", request.url ?? "");
    if ("status" in target) {
      request.resume();
      if (target.status === 405) response.writeHead(405, { Allow: target.allow }).end();
      else response.writeHead(404, { "Content-Type": "text/plain; charset=utf-8" }).end("404 page not found\n");
      return;
    }
    const decision = decide(this.#state, this.#event?.requestId, target.call, target.requestId);
    this.#state = decision.state;
    switch (decision.action) {
      case "refuse":
        request.resume();
        refuse(response, decision.refusal);
        break;
      case "again":
        if (this.#event) sendEvent(response, this.#event);
        break;
      case "wait":
        this.#wait(response);
        break;
      case "receive":
        if (target.call === "response" && request.headers[MODE_HEADER] !== undefined) this.#receiveInMode(request, response);
        else this.#receive(request, response, target.call);
    }
  }

  #receiveInMode(request: IncomingMessage, response: ServerResponse): void {
    switch (request.headers[MODE_HEADER]) {
      case "streaming":
        this.#stream(request, response);
        break;
      case "buffered":
        this.#receive(request, response, "response");
        break;
      default:
        this.#state = received(this.#state);
        request.resume();
        this.#handler.invalidMode();
        refuse(response, INVALID_RESPONSE_MODE);
    }
  }

  #stream(request: IncomingMessage, response: ServerResponse): void {
    const event = this.#event;
    const run = this.#run;
    const stream = this.#handler.stream({
      contentType: request.headers["content-type"],
      pause: () => request.pause(),
      resume: () => request.resume(),
    });
    request.on("data", (chunk: Buffer) => stream.push(chunk));
    request.once("close", () => {
      if (request.complete || run !== this.#run) return;
      this.#state = received(this.#state);
      stream.end({ how: "broken" });
    });
    request.once("end", () => {
      if (!request.complete || run !== this.#run) return;
      stream.end(lateError(request), () => {
        if (run !== this.#run) return;
        this.#state = received(this.#state);
        if (event) event.payload = NOTHING;
        if (stream.tooLarge) refuse(response, tooLarge(MAX_STREAMED));
        else accept(response);
      });
    });
  }

  #wait(response: ServerResponse): void {
    if (this.#undelivered && this.#event) {
      this.#undelivered = false;
      this.#state = "Running";
      sendEvent(response, this.#event);
      return;
    }
    // The one that asked last is the one that listens.
    const former = this.#waiting;
    this.#waiting = response;
    former?.destroy();
    response.once("close", () => {
      if (this.#waiting === response) this.#waiting = undefined;
    });
    if (former === undefined) this.#handler.ready();
  }

  #receive(request: IncomingMessage, response: ServerResponse, call: Call): void {
    const event = this.#event;
    // After a reset the connection belongs to a runtime that is gone, and so does what it says.
    const run = this.#run;
    let chunks: Buffer[] = [];
    let size = 0;
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= MAX_RESPONSE_BYTES) chunks.push(chunk);
      // Read to the end all the same: a client that is cut off while it sends sees a broken pipe instead of the answer.
      else chunks.length = 0;
    });
    request.once("close", () => {
      if (!request.complete && run === this.#run) this.#state = broken(this.#state);
    });
    request.once("end", () => {
      if (!request.complete || run !== this.#run) return;
      this.#state = received(this.#state);
      // Node keeps the request until the connection's next one, which may be hours away: it must not keep the event with it.
      const body = chunks;
      chunks = [];
      if (event) event.payload = NOTHING;
      if (size > MAX_RESPONSE_BYTES) {
        refuse(response, tooLarge(MAX_RESPONSE_BYTES));
        if (call === "initError") this.#handler.initError(errorTypeOf(request, []), []);
        else this.#handler.tooLarge();
        return;
      }
      // The caller's answer first, then the runtime's.
      if (call === "response") this.#handler.response(body);
      else if (call === "error") this.#handler.error(errorTypeOf(request, body), body);
      else this.#handler.initError(errorTypeOf(request, body), body);
      accept(response);
    });
  }
}

/** How a stream ended that has arrived whole: an error after the first byte is in the trailers, its object in base64. */
function lateError(request: IncomingMessage): StreamEnd {
  const { [ERROR_TYPE_HEADER]: errorType, [ERROR_BODY_TRAILER]: encoded } = request.trailers;
  if (!errorType && !encoded) return { how: "complete" };
  const body = encoded ? Buffer.from(encoded, "base64") : undefined;
  return { how: "error", errorType: typeOf(errorType || errorTypeOfBody(body ? [body] : [])), body };
}

function sendEvent(response: ServerResponse, event: DeliveredEvent): void {
  const headers = [
    "Content-Type",
    "application/json",
    "Content-Length",
    String(event.payload.length),
    "Lambda-Runtime-Aws-Request-Id",
    event.requestId,
    "Lambda-Runtime-Deadline-Ms",
    String(event.deadlineMs),
    "Lambda-Runtime-Invoked-Function-Arn",
    headerValue(event.invokedFunctionArn),
  ];
  if (event.traceId !== undefined) headers.push("Lambda-Runtime-Trace-Id", headerValue(event.traceId));
  if (event.clientContext !== undefined) headers.push("Lambda-Runtime-Client-Context", headerValue(event.clientContext));
  if (event.cognitoIdentity !== undefined) headers.push("Lambda-Runtime-Cognito-Identity", headerValue(event.cognitoIdentity));
  response.writeHead(200, headers);
  response.end(event.payload);
}

/** Text as UTF-8 on the wire, as the emulator sends it. Line ends cannot be in a header; in JSON they are only ever white space. */
function headerValue(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what may not be in a header
  return Buffer.from(text.replace(/[\x00-\x08\x0a-\x1f\x7f]/g, " ")).toString("latin1");
}

/** The type from the header or, as AWS's native clients send no header with an event's error, from the error object. */
function errorTypeOf(request: IncomingMessage, body: readonly Uint8Array[]): string {
  return typeOf(request.headers[ERROR_TYPE_HEADER] ?? errorTypeOfBody(body));
}

function typeOf(named: unknown): string {
  return typeof named === "string" && ERROR_TYPE.test(named) ? named : "Runtime.Unknown";
}

function errorTypeOfBody(body: readonly Uint8Array[]): unknown {
  try {
    return JSON.parse(Buffer.concat(body).toString())?.errorType;
  } catch {
    return undefined;
  }
}

function accept(response: ServerResponse): void {
  response.writeHead(202, { "Content-Type": "application/json", "Content-Length": OK.length }).end(OK);
}

function refuse(response: ServerResponse, refusal: Refusal): void {
  const body = `${JSON.stringify({ errorMessage: refusal.errorMessage, errorType: refusal.errorType })}\n`;
  response.writeHead(refusal.status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) }).end(body);
}
