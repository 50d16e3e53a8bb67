import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import {
  CloseCode,
  CONNECT_PATH,
  decodeFrame,
  encodeFrame,
  FRAME_PREFIX,
  type Frame,
  FrameError,
  FrameType,
  type Hello,
  MAX_BODY,
  MAX_HEADER,
  PACKAGES_PATH,
  PROTOCOL_VERSION,
} from "../api/environment-protocol.ts";
import { BusError } from "../bus/index.ts";
import type { Clock } from "../kube/clock.ts";
import type { Logger } from "../telemetry/log.ts";
import { HelloHeader } from "./agent-headers.ts";
import type { AgentIdentity, AgentTokens } from "./agent-tokens.ts";
import { listen } from "./long-connections.ts";
import type { PackageCache } from "./package-cache.ts";
import { type Liveness, PingSweep } from "./ping-sweep.ts";

/** A frame as it came: its header is unchecked but for being an object. */
export type ReceivedFrame = Frame & { body: Uint8Array };

/** One agent's connection, once its token was found good. */
export interface AgentConnection {
  send(frame: Frame): void;
  /** Ends the connection; `listener.disconnected` follows. */
  close(code: number, reason: string): void;
}

/**
 * How a connection ended. `silent`: the agent stopped answering, as when its node is dead. `orderly`: the agent said of itself
 * that it goes away, and before that it has answered every event that it took. `elsewhere`: it keeps to other gateways.
 */
export type ConnectionEnd = "silent" | "orderly" | "elsewhere" | "broken";

/** What becomes of a connection. */
export interface AgentListener {
  frame(frame: ReceivedFrame): void;
  /** The connection is gone. */
  disconnected(how: ConnectionEnd): void;
}

/** The close code of a refusal, or what takes the connection and welcomes the agent. */
export type Admission = { refused: number; why: string } | { take: (connection: AgentConnection) => AgentListener };

/** Who decides about agents; the environments. */
export interface AgentHost {
  /** A pod's agent asks in; its token was good. */
  admit(identity: AgentIdentity, hello: Hello): Promise<Admission>;
  /** Digest of the package that this pod was assigned; absent when it was assigned none. */
  packageOf(identity: AgentIdentity): string | undefined;
}

export interface AgentServerOptions {
  host?: string;
  port: number;
  tokens: Pick<AgentTokens, "verify">;
  agents: AgentHost;
  packages: Pick<PackageCache, "get">;
  clock: Clock;
  log: Logger;
}

/** Time for the first frame. */
const HELLO_MS = 5_000;
/** Connections that have not proven themselves, at once: user code can dial too. */
const MAX_STRANGERS = 512;
/** Of these from one address: a pod has one agent, and what else runs in it must not take every place. */
const MAX_STRANGERS_OF_ADDRESS = 64;
/** Largest hello, bytes, with what the WebSocket adds: its token is the only long part. */
const MAX_HELLO = 64 * 1024;
/** An agent is asked after this silence, and given up after that one. */
const PING_MS = 2_000;
const SILENT_MS = 5_000;

/** The agents' port: WebSockets that agents dial, and the packages that they fetch. */
export class AgentServer {
  readonly #options: AgentServerOptions;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #pings: PingSweep;
  readonly #connections = new Set<WebSocket>();
  /** How many strangers there are, by address. */
  readonly #strangers = new Map<string, number>();
  #strangerCount = 0;
  #stopping = false;

  constructor(options: AgentServerOptions) {
    this.#options = options;
    this.#pings = new PingSweep({ clock: options.clock, pingMs: PING_MS, silentMs: SILENT_MS });
    this.#sockets = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      maxPayload: FRAME_PREFIX + MAX_HEADER + MAX_BODY,
      clientTracking: false,
    });
    this.#http = createServer(
      { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 30_000 },
      (request, response) => void this.#download(request, response),
    );
    this.#http.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** Listens; returns the port. */
  async start(): Promise<number> {
    const port = await listen(this.#http, this.#options.port, this.#options.host);
    this.#pings.start();
    return port;
  }

  /** Tells every agent to go to the other gateways, and closes. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#pings.stop();
    const closed = new Promise<void>((resolve) => this.#http.close(() => resolve()));
    for (const socket of this.#connections) socket.close(CloseCode.goingAway, "the gateway is going away");
    // An agent that does not answer the close frame is not waited for.
    const cancel = this.#options.clock.setTimeout(() => {
      for (const socket of this.#connections) socket.terminate();
      this.#http.closeAllConnections();
    }, 1_000);
    this.#http.closeIdleConnections();
    await closed;
    cancel();
  }

  get connections(): number {
    return this.#connections.size;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    if (request.url !== CONNECT_PATH) refuseUpgrade(socket, "404 Not Found");
    else if (!this.#hasRoom(addressOf(request))) refuseUpgrade(socket, "503 Service Unavailable");
    else this.#sockets.handleUpgrade(request, socket, head, (ws) => this.#stranger(ws, socket, addressOf(request)));
  }

  #hasRoom(address: string): boolean {
    return this.#strangerCount < MAX_STRANGERS && (this.#strangers.get(address) ?? 0) < MAX_STRANGERS_OF_ADDRESS;
  }

  #countStranger(address: string, change: 1 | -1): void {
    this.#strangerCount += change;
    const count = (this.#strangers.get(address) ?? 0) + change;
    if (count === 0) this.#strangers.delete(address);
    else this.#strangers.set(address, count);
  }

  /** A connection whose first frame has to say who it is. */
  #stranger(socket: WebSocket, raw: Duplex, address: string): void {
    const { clock, log } = this.#options;
    this.#countStranger(address, 1);
    let settled = false;
    const settle = () => {
      if (settled) return;
      settled = true;
      this.#countStranger(address, -1);
      cancel();
      raw.off("data", limit);
    };
    // A message as large as an agent may send is not collected for somebody who has not said who he is.
    let received = 0;
    const limit = (chunk: Buffer) => {
      received += chunk.length;
      if (received > MAX_HELLO) socket.terminate();
    };
    raw.on("data", limit);
    const cancel = clock.setTimeout(() => {
      socket.close(CloseCode.protocolError, "no hello came");
      // Whoever stays silent may as well not answer the close, and would keep the place of another.
      clock.setTimeout(() => socket.terminate(), 1_000);
    }, HELLO_MS);
    socket.on("error", (err) => log.debug({ err }, "an agent's connection failed"));
    socket.once("close", settle);
    socket.once("message", (data) => {
      cancel();
      // Nothing may come before the welcome, so whatever does is out of turn.
      const early = () => socket.close(CloseCode.protocolError, "a frame came before the welcome");
      socket.on("message", early);
      this.#greet(socket, data)
        .catch((err: unknown) => {
          log.error({ err }, "an agent could not be greeted");
          socket.close(1011, "internal error");
        })
        .finally(() => {
          socket.off("message", early);
          settle();
        });
    });
  }

  async #greet(socket: WebSocket, data: RawData): Promise<void> {
    const { tokens, agents, log } = this.#options;
    const hello = readHello(data);
    if (typeof hello === "string") return socket.close(CloseCode.protocolError, hello);
    if (hello.protocol !== PROTOCOL_VERSION)
      return socket.close(CloseCode.versionMismatch, `this gateway speaks version ${PROTOCOL_VERSION}`);
    const pod = `${hello.namespace}/${hello.podName}`;
    let identity: AgentIdentity;
    try {
      identity = await tokens.verify(hello.token);
    } catch (err) {
      log.warn({ err, pod }, "an agent showed a token that is not valid");
      return socket.close(CloseCode.unauthorized, "the token is not valid");
    }
    if (identity.namespace !== hello.namespace || identity.podName !== hello.podName) {
      log.warn({ pod, token: `${identity.namespace}/${identity.podName}` }, "an agent showed another pod's token");
      return socket.close(CloseCode.unauthorized, "the token is another pod's");
    }
    const admission = await agents.admit(identity, hello);
    if ("refused" in admission) {
      log.info({ pod, code: admission.refused, why: admission.why }, "an agent was refused");
      return socket.close(admission.refused, admission.why);
    }
    if (socket.readyState !== socket.OPEN) return;
    this.#serve(socket, admission.take);
  }

  #serve(socket: WebSocket, take: (connection: AgentConnection) => AgentListener): void {
    const { log } = this.#options;
    let silent = false;
    let closing = false;
    const liveness: Liveness = this.#pings.add(
      () => socket.ping(),
      () => {
        silent = true;
        socket.terminate();
      },
    );
    this.#connections.add(socket);
    const connection: AgentConnection = {
      send: (frame) => {
        if (socket.readyState === socket.OPEN) socket.send(encodeFrame(frame));
      },
      close: (code, reason) => {
        closing = true;
        socket.close(code, reason);
        // The close handshake of a hanging agent never ends by itself.
        this.#options.clock.setTimeout(() => socket.terminate(), 1_000);
      },
    };
    const listener = take(connection);
    socket.on("pong", () => liveness.seen());
    socket.on("message", (data) => {
      liveness.seen();
      try {
        listener.frame(decodeFrame(data as Buffer));
      } catch (err) {
        if (!(err instanceof FrameError)) log.error({ err }, "a frame of an agent could not be handled");
        connection.close(CloseCode.protocolError, err instanceof FrameError ? err.message.slice(0, 100) : "the frame could not be handled");
      }
    });
    socket.once("close", (code) => {
      this.#connections.delete(socket);
      liveness.remove();
      // An agent answers our close with the code that we sent, which says nothing of what it has done.
      const byAgent = !closing && !this.#stopping;
      listener.disconnected(silent ? "silent" : byAgent ? endOf(code) : "broken");
    });
  }

  async #download(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await this.#sendPackage(request, response);
    } catch (err) {
      this.#options.log.warn({ err, path: request.url }, "a package could not be sent");
      if (response.headersSent) response.destroy();
      else answer(response, err instanceof BusError && err.retryable ? 503 : 500, "the package cannot be read from the store now");
    }
  }

  async #sendPackage(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? "";
    const sha256 = path.startsWith(PACKAGES_PATH) ? path.slice(PACKAGES_PATH.length) : "";
    if (request.method !== "GET" || !/^[0-9a-f]{64}$/.test(sha256))
      return answer(response, 404, `served here: GET ${PACKAGES_PATH}{sha256}`);
    const token = /^Bearer (\S+)$/.exec(request.headers.authorization ?? "")?.[1];
    if (token === undefined) return answer(response, 401, "a bearer token is needed");
    let identity: AgentIdentity;
    try {
      identity = await this.#options.tokens.verify(token);
    } catch (err) {
      this.#options.log.warn({ err }, "a package was asked for with a token that is not valid");
      return answer(response, 401, "the token is not valid");
    }
    // What a pod may read is the package of the version it was assigned: no more than what it runs anyway.
    if (this.#options.agents.packageOf(identity) !== sha256) return answer(response, 403, "this package was not assigned to the pod");
    const { size, stream } = await this.#options.packages.get(sha256);
    response.writeHead(200, { "content-type": "application/zip", "content-length": size });
    await pipeline(stream, response);
  }
}

function endOf(code: number): ConnectionEnd {
  if (code === CloseCode.goingAway) return "orderly";
  return code === CloseCode.notMember ? "elsewhere" : "broken";
}

function readHello(data: RawData): Hello | string {
  try {
    const frame = decodeFrame(data as Buffer);
    if (frame.type !== FrameType.hello) return "the first frame must be a hello";
    const hello = HelloHeader.safeParse(frame.header);
    return hello.success ? hello.data : "the hello is not valid";
  } catch (error) {
    return error instanceof FrameError ? error.message.slice(0, 100) : "the hello cannot be read";
  }
}

function addressOf(request: IncomingMessage): string {
  return request.socket.remoteAddress ?? "";
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "content-length": Buffer.byteLength(text) });
  response.end(text);
}
