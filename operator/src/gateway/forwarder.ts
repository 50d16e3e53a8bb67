import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { Dispatcher } from "undici";
import { KappaError } from "../domain/errors.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import { NOT_OWNER_STATUS } from "./answer.ts";
import { encodeForwarded, FORWARD_HEADER, FORWARD_PATH } from "./forwarded.ts";
import type { Peers } from "./peers.ts";

/** What is sent on. */
export interface ForwardRequest {
  key: string;
  requestId: string;
  invokedArn: string;
  version: string;
  logTail: boolean;
  streaming: boolean;
  clientContext?: string;
  traceId: string;
  payload: Uint8Array;
}

/** How forwarding ended. */
export interface ForwardOutcome {
  /** `answered`: the caller has the owner's answer. `retry`: nothing ran; ask whoever owns it now. `failed`: it may have run. */
  type: "answered" | "retry" | "failed";
  status: number;
}

/** Interim response by which an owner says in turn that the event waits, and that it no longer does. */
const PROCESSING = 102;

export interface ForwarderOptions {
  peers: Peers;
  secret: string;
  metrics: GatewayMetrics;
  log: Logger;
}

/** Hands invocations to the gateways that own their functions, and their answers to the callers, as they come. */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #authorization: string;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#authorization = `Bearer ${options.secret}`;
  }

  /** Sends an invocation to a gateway and its answer to `response`. Calls back once. */
  forward(owner: string, request: ForwardRequest, response: ServerResponse, done: (outcome: ForwardOutcome) => void): void {
    const { peers, metrics } = this.#options;
    const pool = peers.pool(owner);
    if (!pool) {
      metrics.forwarded("retried");
      done({ type: "retry", status: 0 });
      return;
    }
    const { payload, ...forwarded } = request;
    const handler = new ForwardHandler(response, (outcome, error) => {
      metrics.forwarded(outcome.type === "answered" ? "ok" : outcome.type === "retry" ? "retried" : "failed");
      if (error)
        this.#options.log.warn(
          { err: error, owner, requestId: request.requestId, ranMaybe: outcome.type === "failed" },
          "the owner of a function was lost while it had an event",
        );
      done(outcome);
    });
    pool.dispatch(
      {
        method: "POST",
        path: FORWARD_PATH,
        headers: {
          authorization: this.#authorization,
          [FORWARD_HEADER]: encodeForwarded(forwarded),
          "content-type": "application/octet-stream",
        },
        body: payload,
      },
      handler,
    );
  }
}

/** The answer to a caller whose event may have run at an owner that was lost. */
export function ownerLost(): KappaError {
  return new KappaError("K106", "The gateway that processed the event was lost. Retry the request.");
}

/** Passes the owner's answer on. Keeps track of whether anything can have run. */
class ForwardHandler implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  readonly #report: (outcome: ForwardOutcome, error?: Error) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #mayHaveRun = false;
  #status = 0;

  constructor(response: ServerResponse, report: (outcome: ForwardOutcome, error?: Error) => void) {
    this.#response = response;
    this.#report = report;
    response.on("close", this.#closed).on("drain", this.#drained);
  }

  readonly #closed = () => {
    if (!this.#response.writableFinished) this.#controller?.abort(new Error("the caller went away"));
  };

  readonly #drained = () => this.#controller?.resume();

  /** An event may be forwarded many times before it finds its owner. */
  #done(outcome: ForwardOutcome, error?: Error): void {
    this.#response.off("close", this.#closed).off("drain", this.#drained);
    this.#report(outcome, error);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // From here on it is on its way; before, there was no connection.
    this.#mayHaveRun = true;
    this.#controller = controller;
    // Who left meanwhile will not be told of as leaving again.
    if (this.#response.destroyed) this.#closed();
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status === PROCESSING) {
      this.#mayHaveRun = !this.#mayHaveRun;
      return;
    }
    this.#status = status;
    if (status === NOT_OWNER_STATUS) return;
    this.#response.writeHead(status, passedOn(headers));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#status !== NOT_OWNER_STATUS && !this.#response.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    if (this.#status === NOT_OWNER_STATUS) {
      this.#done({ type: "retry", status: this.#status });
      return;
    }
    this.#response.end();
    this.#done({ type: "answered", status: this.#status });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    // The caller left, of which the owner hears by the end of this connection: what runs there goes on.
    if (this.#response.destroyed) this.#done({ type: "answered", status: 499 });
    else if (this.#response.headersSent) {
      // The beginning is with the caller; only breaking off tells it that the rest is missing.
      this.#response.destroy();
      this.#done({ type: "answered", status: this.#status }, error);
    } else this.#done({ type: this.#mayHaveRun ? "failed" : "retry", status: 0 }, error);
  }
}

/** The owner's headers without those that belong to the connection between the two of us. */
function passedOn(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { connection: _connection, "keep-alive": _keepAlive, "transfer-encoding": _encoding, date: _date, ...rest } = headers;
  return rest;
}
