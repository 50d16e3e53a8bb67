import { WebSocket } from "ws";
import {
  type Assignment,
  CONNECT_PATH,
  decodeFrame,
  encodeFrame,
  type Frame,
  FrameType,
  type Invoke,
  PROTOCOL_VERSION,
  type Result,
  STREAM_WINDOW,
} from "../../api/environment-protocol.ts";

/** An event that a {@link WireAgent} was given. */
export interface WireEvent {
  invoke: Invoke;
  payload: string;
}

/** An agent over a real connection that a test moves step by step. It keeps to the protocol, the window of credit included. */
export class WireAgent {
  readonly received: Frame[] = [];
  readonly #socket: WebSocket;
  readonly #waiters = new Set<() => void>();
  /** Bytes that may be sent now. */
  #window = STREAM_WINDOW;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data) => {
      const frame = decodeFrame(data as Buffer);
      this.received.push(frame);
      if (frame.type === FrameType.credit) this.#window += frame.header.bytes;
      if (frame.type === FrameType.invoke) this.#window = STREAM_WINDOW;
      for (const wake of [...this.#waiters]) wake();
    });
  }

  /** Connects, and is ready for events once it was assigned. */
  static async connect(port: number, pod: { namespace: string; podName: string; token: string }): Promise<WireAgent> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${CONNECT_PATH}`, { perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const agent = new WireAgent(socket);
    agent.send({ type: FrameType.hello, header: { protocol: PROTOCOL_VERSION, runtime: "python3.11", state: "unassigned", ...pod } });
    const { assignmentId } = await agent.assignment();
    agent.send({ type: FrameType.assigned, header: { assignmentId, initDurationMs: 1 } });
    return agent;
  }

  send(frame: Frame): void {
    this.#socket.send(encodeFrame(frame));
  }

  close(): void {
    this.#socket.terminate();
  }

  /** What may be sent without further credit, bytes. */
  get window(): number {
    return this.#window;
  }

  async assignment(): Promise<Assignment> {
    const frame = await this.#find((f) => f.type === FrameType.assign);
    if (frame.type !== FrameType.assign) throw new Error("no assignment");
    return frame.header;
  }

  /** The next event; each is given once. */
  async event(): Promise<WireEvent> {
    const frame = await this.#find((f) => f.type === FrameType.invoke);
    if (frame.type !== FrameType.invoke) throw new Error("no event");
    this.received.splice(this.received.indexOf(frame), 1);
    return { invoke: frame.header, payload: Buffer.from(frame.body ?? []).toString() };
  }

  /** Sends a part of a response once there is credit for it. */
  async part({ invoke: { requestId } }: WireEvent, bytes: string | Uint8Array, contentType?: string): Promise<void> {
    const body = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
    await this.#until(() => this.#window >= body.length);
    this.#window -= body.length;
    this.send({ type: FrameType.responseChunk, header: { requestId, ...(contentType === undefined ? {} : { contentType }) }, body });
  }

  /** Ends an event. */
  result({ invoke: { requestId } }: WireEvent, over: Partial<Result> = {}, body = ""): void {
    const header = { requestId, durationMs: 1, billedMs: 1, maxMemoryMb: 10, reusable: true, ...over };
    this.send({ type: FrameType.result, header, body: Buffer.from(body) });
  }

  async #find(wanted: (frame: Frame) => boolean): Promise<Frame> {
    await this.#until(() => this.received.some(wanted));
    const frame = this.received.find(wanted);
    if (!frame) throw new Error("the frame is gone");
    return frame;
  }

  #until(met: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!met()) return;
        this.#waiters.delete(look);
        resolve();
      };
      this.#waiters.add(look);
      look();
    });
  }
}
