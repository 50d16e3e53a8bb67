/** The other end of the environment protocol, for tests: a real WebSocket and HTTP server that does what it is told. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";
import {
  type Assigned,
  type Assignment,
  type AssignmentFailed,
  CONNECT_PATH,
  decodeFrame,
  encodeFrame,
  type Frame,
  FrameType,
  type Hello,
  type Invoke,
  type Member,
  PACKAGES_PATH,
  type Result,
  type Welcome,
} from "../../../operator/src/api/environment-protocol.ts";

/** How long a test waits for anything before it fails. */
const PATIENCE_MS = 20_000;

type Received = Frame & { body: Buffer };

/** What an event came to. */
export interface Outcome {
  result: Result;
  body: Buffer;
  /** The body as JSON, if it is. */
  json: unknown;
  /** Decoded; empty when none was wanted. */
  tail: string;
}

/** What an event came to whose response was streamed: `body` is the error that ended it, or empty. */
export interface StreamedOutcome extends Outcome {
  chunks: Buffer[];
  /** All chunks together. */
  streamed: Buffer;
  contentType: string | undefined;
}

/** One agent that has dialled. */
export class AgentLink {
  readonly hello: Hello;
  readonly socket: WebSocket;
  readonly received: Received[] = [];
  #waiters = new Set<() => void>();

  constructor(socket: WebSocket, hello: Hello) {
    this.socket = socket;
    this.hello = hello;
    socket.on("message", (data) => this.#add(decodeFrame(data as Buffer) as Received));
    socket.on("close", () => this.#wake());
  }

  #add(frame: Received): void {
    this.received.push(frame);
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter();
  }

  send(frame: Frame): void {
    this.socket.send(encodeFrame(frame));
  }

  /** Takes the first frame that matches out of those received, waiting for it. */
  async take(matches: (frame: Received) => boolean, what: string): Promise<Received> {
    const { promise, resolve, reject } = Promise.withResolvers<Received>();
    const timer = setTimeout(() => reject(new Error(`${what} did not come within ${PATIENCE_MS / 1000} s`)), PATIENCE_MS);
    const look = (): void => {
      const index = this.received.findIndex(matches);
      const [frame] = index < 0 ? [] : this.received.splice(index, 1);
      if (frame) {
        // At once: the next frame may be here before whoever waits for this one runs.
        this.#waiters.delete(look);
        resolve(frame);
      } else if (this.socket.readyState === this.socket.CLOSED)
        reject(new Error(`${what} did not come: the agent has closed the connection`));
    };
    this.#waiters.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiters.delete(look);
    }
  }

  /** Assigns and waits for success or failure. @param inline the package, when it travels with the assignment */
  async assign(assignment: Assignment, inline?: Uint8Array): Promise<{ assigned?: Assigned; failed?: AssignmentFailed; body: Buffer }> {
    this.send({ type: FrameType.assign, header: assignment, ...(inline === undefined ? {} : { body: inline }) });
    const frame = await this.take(
      (f) => f.type === FrameType.assigned || f.type === FrameType.assignmentFailed,
      "the outcome of the assignment",
    );
    if (frame.type === FrameType.assigned) return { assigned: frame.header, body: frame.body };
    if (frame.type === FrameType.assignmentFailed) return { failed: frame.header, body: frame.body };
    throw new Error("unreachable");
  }

  /** Sends an event without waiting. @returns its request id */
  offer(payload: string | Uint8Array, over: Partial<Invoke> = {}): string {
    const header: Invoke = {
      requestId: crypto.randomUUID(),
      deadlineMs: Date.now() + 60_000,
      invokedFunctionArn: "arn:aws:lambda:us-east-1:000000000001:function:f",
      logTail: false,
      epoch: 1,
      ...over,
    };
    this.send({ type: FrameType.invoke, header, body: Buffer.from(payload) });
    return header.requestId;
  }

  /** The end of an event. */
  async outcome(requestId: string): Promise<Outcome> {
    const frame = await this.take((f) => f.type === FrameType.result && f.header.requestId === requestId, `the result of ${requestId}`);
    if (frame.type !== FrameType.result) throw new Error("unreachable");
    let json: unknown;
    try {
      json = JSON.parse(frame.body.toString());
    } catch {
      // Not every body is JSON.
    }
    return { result: frame.header, body: frame.body, json, tail: Buffer.from(frame.header.logTail ?? "", "base64").toString() };
  }

  /**
   * The end of an event that streams its response, with what went ahead of it.
   * @param onChunk whether to give credit for a part; default: always
   */
  async streamed(requestId: string, onChunk: (bytes: Buffer) => boolean = () => true): Promise<StreamedOutcome> {
    const chunks: Buffer[] = [];
    let contentType: string | undefined;
    for (;;) {
      const frame = await this.take((f) => isOf(f, requestId), `more of the response to ${requestId}`);
      if (frame.type === FrameType.responseChunk) {
        contentType ??= frame.header.contentType;
        chunks.push(frame.body);
        if (onChunk(frame.body)) this.credit(requestId, frame.body.length);
      } else {
        this.received.unshift(frame);
        return { ...(await this.outcome(requestId)), chunks, contentType, streamed: Buffer.concat(chunks) };
      }
    }
  }

  /** Says that so much of a streamed response has left the gateway. */
  credit(requestId: string, bytes: number): void {
    this.send({ type: FrameType.credit, header: { requestId, bytes } });
  }

  async invoke(payload: unknown, over: Partial<Invoke> = {}): Promise<Outcome> {
    return await this.outcome(this.offer(JSON.stringify(payload), over));
  }

  /** Resolves when the connection is closed. */
  async closed(): Promise<void> {
    if (this.socket.readyState === this.socket.CLOSED) return;
    await new Promise<void>((resolve) => {
      this.socket.once("close", () => resolve());
    });
  }
}

function isOf(frame: Received, requestId: string): boolean {
  return (frame.type === FrameType.responseChunk || frame.type === FrameType.result) && frame.header.requestId === requestId;
}

export interface TestGatewayOptions {
  port?: number;
  /** What to do with a hello: a close code to refuse it. */
  admit?: (hello: Hello) => number | undefined;
  /** What the welcome says beside the members. */
  welcome?: (hello: Hello) => Partial<Welcome>;
}

export class TestGateway {
  readonly packages = new Map<string, Uint8Array>();
  /** Authorization headers of package downloads. */
  readonly downloads: (string | undefined)[] = [];
  readonly links: AgentLink[] = [];
  members: Member[] = [];
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #options: TestGatewayOptions;
  #waiters = new Set<() => void>();
  #taken = 0;

  constructor(options: TestGatewayOptions) {
    this.#options = options;
    this.#http = createServer((request, response) => {
      this.downloads.push(request.headers.authorization);
      const bytes = this.packages.get((request.url ?? "").slice(PACKAGES_PATH.length));
      response.writeHead(bytes ? 200 : 404).end(bytes);
    });
    this.#sockets = new WebSocketServer({ server: this.#http, path: CONNECT_PATH, perMessageDeflate: false });
    this.#sockets.on("connection", (socket) => {
      socket.once("message", (data) => {
        const frame = decodeFrame(data as Buffer);
        if (frame.type !== FrameType.hello) return socket.close(4400, "no hello");
        const refusal = this.#options.admit?.(frame.header);
        if (refusal !== undefined) return socket.close(refusal, "refused");
        const link = new AgentLink(socket, frame.header);
        this.links.push(link);
        link.send({ type: FrameType.welcome, header: { members: this.members, epoch: 1, ...options.welcome?.(frame.header) } });
        for (const waiter of this.#waiters) waiter();
      });
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once("error", reject);
      this.#http.listen(this.#options.port ?? 0, "127.0.0.1", resolve);
    });
    this.members = [{ name: "gateway", address: this.address }];
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** The next agent that dials, in order. */
  async agent(): Promise<AgentLink> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const link = this.links[this.#taken];
      if (link) {
        this.#taken++;
        return link;
      }
      await new Promise<void>((resolve, reject) => {
        const done = (): void => {
          clearTimeout(timer);
          this.#waiters.delete(done);
          resolve();
        };
        const timer = setTimeout(() => reject(new Error("no agent dialled")), deadline - Date.now());
        this.#waiters.add(done);
      });
    }
  }

  /** Goes away at once, as a killed process does. */
  async kill(): Promise<void> {
    for (const client of this.#sockets.clients) client.terminate();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }
}

export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const gateway = new TestGateway(options);
  await gateway.listen();
  return gateway;
}
