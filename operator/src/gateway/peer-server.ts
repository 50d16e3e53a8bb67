import { hash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { WebSocketServer } from "ws";
import { callerThrottled } from "../domain/errors.ts";
import { LATEST } from "../domain/names.ts";
import type { Clock } from "../kube/clock.ts";
import { MAX_PAYLOAD } from "../lambda-api/invoke-request.ts";
import type { Logger } from "../telemetry/log.ts";
import { answerInvocation } from "./answer.ts";
import { decodeForwarded, FORWARD_HEADER, FORWARD_PATH, type Forwarded } from "./forwarded.ts";
import { type FunctionEntry, notFoundInvoked, runnableOf } from "./function-entry.ts";
import type { FunctionRegistry } from "./function-registry.ts";
import { type Budget, type PayloadBudget, readBody } from "./http-body.ts";
import { HttpInvocation } from "./http-invocation.ts";
import type { Invocation, Outcome } from "./invocation.ts";
import { listen } from "./long-connections.ts";
import { MAX_PEER_MESSAGE } from "./peer-messages.ts";
import { PEER_NAME, PEER_PATH, type Peers } from "./peers.ts";

/** The other gateway's watch may be a moment ahead of ours. */
const FUNCTION_WAIT_MS = 1_000;

export interface PeerServerOptions {
  host?: string;
  port: number;
  name: string;
  secret: string;
  registry: FunctionRegistry;
  submit(entry: FunctionEntry, invocation: Invocation): void;
  clock: Clock;
  log: Logger;
  budget: PayloadBudget;
}

/** The peers' port: standing connections, and invocations that other gateways forward to the owner of the function. */
export class PeerServer {
  readonly #options: PeerServerOptions;
  readonly #http: Server;
  readonly #expected: Buffer;
  #peers: Peers | undefined;

  constructor(options: PeerServerOptions) {
    this.#options = options;
    this.#expected = digest(`Bearer ${options.secret}`);
    const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX_PEER_MESSAGE, clientTracking: false });
    sockets.on("headers", (headers) => {
      const greeting = { [PEER_NAME]: options.name, ...this.#peers?.greeting() };
      for (const [name, value] of Object.entries(greeting)) headers.push(`${name}: ${value}`);
    });
    // Kept-alive connections end from the asking side only, so that no request meets a closing one.
    this.#http = createServer(
      { headersTimeout: 10_000, requestTimeout: 0, keepAliveTimeout: 0, maxHeaderSize: 32 * 1024 },
      (request, response) => this.#request(request, response),
    );
    this.#http.on("upgrade", (request, socket, head) => {
      socket.on("error", () => socket.destroy());
      if (request.url !== PEER_PATH || !this.#isPeer(request) || !this.#peers) {
        socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      sockets.handleUpgrade(request, socket, head, (link) => this.#peers?.accept(link, request));
    });
  }

  /** Listens; returns the port. Connections of other gateways are taken once {@link connectTo} was called. */
  async start(): Promise<number> {
    return await listen(this.#http, this.#options.port, this.#options.host);
  }

  connectTo(peers: Peers): void {
    this.#peers = peers;
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#http.close(() => resolve());
      this.#http.closeAllConnections();
    });
  }

  #isPeer(request: IncomingMessage): boolean {
    return timingSafeEqual(digest(request.headers.authorization ?? ""), this.#expected);
  }

  #request(request: IncomingMessage, response: ServerResponse): void {
    const forwarded = decodeForwarded(String(request.headers[FORWARD_HEADER] ?? ""));
    if (!this.#isPeer(request) || request.method !== "POST" || request.url !== FORWARD_PATH || !forwarded) {
      response.writeHead(this.#isPeer(request) ? 400 : 401, { "content-length": "0", connection: "close" });
      response.end();
      return;
    }
    const { clock, budget } = this.#options;
    const arrivedAt = clock.monotonic();
    readBody(request, MAX_PAYLOAD, budget, (payload) => {
      if (payload === "noMemory") {
        answerInvocation(response, { type: "refused", error: callerThrottled() }, forwarded);
        return;
      }
      if (typeof payload === "string") {
        response.destroy();
        return;
      }
      response.once("close", () => budget.give(payload.length));
      this.#invoke(new ForwardedInvocation(forwarded, payload, arrivedAt, response, budget), forwarded.key);
    });
  }

  #invoke(invocation: Invocation, key: string): void {
    const entry = this.#options.registry.byKey(key);
    if (entry && isKnown(entry, invocation.version)) this.#options.submit(entry, invocation);
    else this.#whenKnown(invocation, key);
  }

  #whenKnown(invocation: Invocation, key: string): void {
    const { registry, clock, submit } = this.#options;
    const done = (entry: FunctionEntry | undefined) => {
      cancel();
      unsubscribe();
      // The dispatcher says why a version cannot be run.
      if (entry) submit(entry, invocation);
      else invocation.finish({ type: "refused", error: notFoundInvoked(invocation.invokedArn) });
    };
    const cancel = clock.setTimeout(() => done(registry.byKey(key)), FUNCTION_WAIT_MS);
    const unsubscribe = registry.subscribe((changed, entry) => {
      if (changed === key && entry && isKnown(entry, invocation.version)) done(entry);
    });
  }
}

/** Whether what the other gateway resolved a qualifier to has been shown here, too. */
function isKnown(entry: FunctionEntry, version: string): boolean {
  return version === LATEST || runnableOf(entry, version) !== undefined;
}

function digest(text: string): Buffer {
  return hash("sha256", text, "buffer");
}

/** An invocation whose caller is at another gateway. */
class ForwardedInvocation extends HttpInvocation {
  cancelled = false;
  readonly #response: ServerResponse;
  #toldWaiting = false;

  constructor(forwarded: Forwarded, payload: Uint8Array, arrivedAt: number, response: ServerResponse, budget: Budget) {
    super({ ...forwarded, payload }, arrivedAt, response, budget);
    this.#response = response;
    response.on("close", () => {
      this.cancelled = !response.writableFinished;
    });
  }

  /** An interim response says "nothing of it has run": if this gateway dies now, the other one may try elsewhere. */
  override waiting(): void {
    super.waiting();
    if (this.#toldWaiting) return;
    this.#toldWaiting = true;
    this.#response.writeProcessing();
  }

  /** A second one takes that back. */
  started(): void {
    if (!this.#toldWaiting) return;
    this.#toldWaiting = false;
    this.#response.writeProcessing();
  }

  finish(outcome: Outcome): void {
    if (!this.#response.destroyed) this.answer(outcome);
  }
}
