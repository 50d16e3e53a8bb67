/** One WebSocket to one gateway. */
import { WebSocket } from "ws";
import {
  CloseCode,
  CONNECT_PATH,
  decodeFrame,
  encodeFrame,
  FRAME_PREFIX,
  type Frame,
  FrameError,
  MAX_BODY,
  MAX_HEADER,
} from "../../../../operator/src/api/environment-protocol.ts";
import { HANDSHAKE_LIMIT_MS, PING_INTERVAL_MS, PONG_LIMIT_MS } from "../limits.ts";
import { takeTicket } from "./ticket.ts";

/** A frame from a gateway with its body. */
export type ReceivedFrame = Frame & { body: Uint8Array };

export interface ConnectionHandlers {
  /** The first message, asked for when it can be sent; overwritten afterwards. */
  hello: () => Buffer;
  /** Takes the ticket that came with the frame which follows. */
  onTicket: (ticket: Buffer) => void;
  /** Acts on a frame. May throw FrameError: the connection is then closed as a protocol error. */
  onFrame: (frame: ReceivedFrame) => void;
  /** Called once, also when the connection never came to be. */
  onClosed: (code: number, reason: string) => void;
}

/** Bodies up to this size are copied into one message with their header, larger ones are sent as further fragments of it. */
const ONE_MESSAGE_BYTES = 64 * 1024;

/** HTTP status of a refused handshake → the close code that means the same. */
const REFUSED: Readonly<Record<number, number>> = {
  401: CloseCode.unauthorized,
  403: CloseCode.unauthorized,
  409: CloseCode.duplicate,
  426: CloseCode.versionMismatch,
};

export class Connection {
  /** `host:port` */
  readonly address: string;
  readonly #socket: WebSocket;
  readonly #handlers: ConnectionHandlers;
  #heardAt: number;
  #checkedAt: number;
  #ticker: NodeJS.Timeout | undefined;
  #closeReason: { code: number; reason: string } | undefined;

  /** Dials. */
  constructor(address: string, handlers: ConnectionHandlers) {
    this.address = address;
    this.#handlers = handlers;
    this.#heardAt = performance.now();
    this.#checkedAt = this.#heardAt;
    this.#socket = new WebSocket(`ws://${address}${CONNECT_PATH}`, {
      perMessageDeflate: false,
      maxPayload: FRAME_PREFIX + MAX_HEADER + MAX_BODY,
      handshakeTimeout: HANDSHAKE_LIMIT_MS,
      // The mask is there to protect proxies between a browser and its server (RFC 6455, 10.3). There is none here, and a mask
      // of zeros saves going over every byte.
      generateMask: (mask: Buffer) => mask.fill(0),
    });
    this.#socket.once("open", () => {
      const hello = handlers.hello();
      this.#socket.send(hello, () => hello.fill(0));
      this.#ticker = setInterval(() => this.#check(), PING_INTERVAL_MS);
    });
    this.#socket.on("message", (data, isBinary) => this.#receive(data as Buffer, isBinary));
    this.#socket.on("ping", () => this.#heard());
    this.#socket.on("pong", () => this.#heard());
    this.#socket.once("unexpected-response", (_request, response) => {
      const status = response.statusCode ?? 0;
      this.#closeReason = { code: REFUSED[status] ?? 1006, reason: `the handshake was answered with HTTP ${status}` };
      this.#socket.terminate();
    });
    this.#socket.on("error", (error) => {
      this.#closeReason ??= { code: 1006, reason: error.message };
    });
    this.#socket.once("close", (code, reason) => {
      clearInterval(this.#ticker);
      const ended = this.#closeReason ?? { code, reason: reason.toString() };
      handlers.onClosed(ended.code, ended.reason);
    });
  }

  /**
   * Sends a frame if the connection is open.
   * @param body instead of the frame's own: pieces that are not put together here
   * @param onSent called when everything was handed to the operating system, or never will be
   */
  send(frame: Frame, body: readonly Uint8Array[] = [], onSent?: () => void): boolean {
    if (this.#socket.readyState !== WebSocket.OPEN) return false;
    const size = body.reduce((sum, piece) => sum + piece.length, 0);
    if (size <= ONE_MESSAGE_BYTES) {
      const [only] = body;
      const whole = only === undefined ? frame : { ...frame, body: body.length === 1 ? only : Buffer.concat(body) };
      this.#socket.send(encodeFrame(whole), onSent);
      return true;
    }
    this.#socket.send(encodeFrame(frame), { binary: true, fin: false });
    body.forEach((piece, index) => {
      const last = index === body.length - 1;
      this.#socket.send(piece, { binary: true, fin: last }, last ? onSent : undefined);
    });
    return true;
  }

  /** Closes in an orderly way; what was sent is still delivered. */
  close(code: number, reason: string): void {
    this.#closeReason ??= { code, reason };
    this.#socket.close(code, reason);
  }

  #receive(data: Buffer, isBinary: boolean): void {
    this.#heard();
    try {
      if (!isBinary) throw new FrameError("a text message is no frame");
      const ticket = takeTicket(data);
      if (ticket) this.#handlers.onTicket(ticket);
      this.#handlers.onFrame(decodeFrame(data));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.close(CloseCode.protocolError, error.message.slice(0, 120));
    }
  }

  #heard(): void {
    this.#heardAt = performance.now();
  }

  #check(): void {
    const now = performance.now();
    // The agent itself was held up (its CPU is limited): what has come meanwhile has not been read yet.
    const late = now - this.#checkedAt > 2 * PING_INTERVAL_MS;
    this.#checkedAt = now;
    if (late) this.#heardAt = now;
    if (now - this.#heardAt > PONG_LIMIT_MS) {
      this.#closeReason ??= { code: 1006, reason: `nothing was heard for ${PONG_LIMIT_MS / 1000} s` };
      this.#socket.terminate();
    } else this.#socket.ping();
  }
}
