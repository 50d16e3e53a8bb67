/** Sends requests and notes what became of them. */
import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { SignatureV4 } from "@smithy/signature-v4";
import { type Dispatcher, Pool } from "undici";
import type { Outcome, Target } from "./messages.ts";

/** A cold start with everything missing takes seconds; beyond this nobody waits. */
const ANSWER_MS = 120_000;
/** Of an answer that is quoted. */
const QUOTED_CHARACTERS = 300;

const FAILED_PAUSE_MS = 10;

/** Milliseconds on a clock that only goes forward, the same in all threads. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Collects what becomes of the requests of one command. */
export class Tally {
  readonly #latencies: number[] = [];
  readonly #statuses: Record<string, number> = {};
  readonly #startedAt = epoch();
  readonly #logs: string[] = [];
  #firstProblem: string | undefined;

  get answered(): number {
    return this.#latencies.length;
  }

  /** @param milliseconds that the request took; absent when it had no answer */
  add(status: number | string, milliseconds: number | undefined, problem?: string): void {
    this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    if (milliseconds !== undefined) this.#latencies.push(Math.round(milliseconds * 1000));
    if (status !== 200) this.#firstProblem ??= problem;
  }

  addLog(base64: string): void {
    this.#logs.push(Buffer.from(base64, "base64").toString());
  }

  outcome(): Outcome {
    return {
      startedAt: this.#startedAt,
      endedAt: epoch(),
      latencies: this.#latencies,
      statuses: this.#statuses,
      logs: this.#logs,
      ...(this.#firstProblem === undefined ? {} : { firstProblem: this.#firstProblem }),
    };
  }
}

const epoch = (): number => performance.timeOrigin + performance.now();

/** One pool of connections for each target's origin and number of connections. */
const pools = new Map<string, Pool>();

/** The pool for an origin, kept from command to command: callers keep their connections. */
export function poolFor(origin: string, connections: number): Pool {
  const key = `${origin} ${connections}`;
  let pool = pools.get(key);
  if (!pool) {
    pool = new Pool(origin, { connections, pipelining: 1, headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS, keepAliveTimeout: 60_000 });
    pools.set(key, pool);
  }
  return pool;
}

/** A request of the target's, signed where it wants that. */
export type Prepared = Pick<Dispatcher.DispatchOptions, "path" | "method" | "headers" | "body">;

/** Makes the requests of a target. */
export function preparer(target: Target): () => Prepared | Promise<Prepared> {
  const { path, body, headers, sign } = target;
  const method = target.method as Dispatcher.HttpMethod;
  const plain: Prepared = { path, method, headers, body: body === "" ? null : body };
  if (!sign) return () => plain;
  const { host, hostname } = new URL(target.origin);
  const { region, ...credentials } = sign;
  const signer = new SignatureV4({ service: "lambda", region, credentials, sha256: Sha256 });
  return async () => {
    const signed = await signer.sign({ protocol: "http:", method, hostname, path, query: {}, headers: { ...headers, host }, body });
    return { ...plain, headers: signed.headers };
  };
}

/** SHA-256 as the signer wants it, by the library that the SDK for Node.js uses too: OpenSSL's. */
class Sha256 {
  readonly #secret: string | ArrayBuffer | ArrayBufferView | undefined;
  #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret;
    this.#hash = this.#new();
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    this.#hash = this.#new();
  }

  #new(): Hash | Hmac {
    return this.#secret === undefined ? createHash("sha256") : createHmac("sha256", bytesOf(this.#secret));
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof data === "string") return data;
  return data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * Sends one request. Resolves when all of its answer is there, or there will be none.
 * @param since on {@link now}'s clock: when its time began to run
 */
export function send(pool: Pool, request: Prepared, since: number, tally: Tally): Promise<void> {
  return new Promise((resolve) => {
    let status: number | string = 0;
    let text = "";
    pool.dispatch(request as Dispatcher.DispatchOptions, {
      onRequestStart: () => {},
      onResponseStart: (_controller, statusCode, headers) => {
        // A function that failed answers 200, too.
        const functionError = headers["x-amz-function-error"];
        status = functionError === undefined ? statusCode : `${statusCode} ${functionError}`;
        const log = headers["x-amz-log-result"];
        if (typeof log === "string") tally.addLog(log);
      },
      onResponseData: (_controller, chunk) => {
        if (status !== 200 && text.length < QUOTED_CHARACTERS) text += chunk.toString("utf8");
      },
      onResponseEnd: () => {
        tally.add(status, now() - since, `${status} ${text.slice(0, QUOTED_CHARACTERS)}`);
        resolve();
      },
      onResponseError: (_controller, error) => {
        const name = "code" in error && typeof error.code === "string" ? error.code : error.name;
        tally.add(name, undefined, `${name}: ${error.message}`);
        // Who tries again at once would do nothing else any more.
        setTimeout(resolve, FAILED_PAUSE_MS);
      },
    });
  });
}
