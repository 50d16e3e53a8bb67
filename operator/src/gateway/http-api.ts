import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { functionArn } from "../domain/arns.ts";
import { callerThrottled, KappaError } from "../domain/errors.ts";
import { LATEST } from "../domain/names.ts";
import type { Clock } from "../kube/clock.ts";
import { type InvokeRequest, invokeOperation, MAX_PAYLOAD, parseInvoke } from "../lambda-api/invoke-request.ts";
import { checkJson } from "../lambda-api/json-document.ts";
import { objectName } from "../resources/names.ts";
import type { GatewayMetrics } from "../telemetry/gateway-metrics.ts";
import type { Logger } from "../telemetry/log.ts";
import type { Authenticator, Identify } from "./authenticator.ts";
import type { Authoriser } from "./authoriser.ts";
import type { BillingApi } from "./billing-api.ts";
import type { Caller } from "./caller.ts";
import { Exchange } from "./exchange.ts";
import { type Forwarder, ownerLost } from "./forwarder.ts";
import { type FunctionEntry, functionKey, hasVersion, notFound, notFoundInvoked } from "./function-entry.ts";
import type { FunctionRegistry } from "./function-registry.ts";
import { type PayloadBudget, readBody } from "./http-body.ts";
import type { Invocation } from "./invocation.ts";
import { LocalInvocation } from "./local-invocation.ts";
import { listen } from "./long-connections.ts";
import { resolveQualifier, versionNow } from "./qualifiers.ts";
import type { Random } from "./random.ts";

/** For a whole request to arrive; a 6 MB one over 1 Mbit/s takes 50 s. */
const RECEIVE_MS = 120_000;
/** Ownership moves within milliseconds; so long and so often an event looks for its owner. */
const REROUTE_PAUSE_MS = 50;
const MAX_REROUTES = 100;
/** Lambda hands a function an empty object when the caller sent nothing. */
const EMPTY_PAYLOAD = Buffer.from("{}");

export interface LambdaApiOptions {
  host?: string;
  port: number;
  region: string;
  clock: Clock;
  random: Random;
  log: Logger;
  metrics: GatewayMetrics;
  authenticator: Pick<Authenticator, "authenticate">;
  authoriser: Pick<Authoriser, "authorise">;
  registry: FunctionRegistry;
  accounts: { idOf(namespace: string): string | undefined; namespaceOf(accountId: string): string | undefined };
  /** The gateway that owns a function; undefined when it is this one. */
  otherOwner(key: string): string | undefined;
  submit(entry: FunctionEntry, invocation: Invocation): void;
  forwarder: Pick<Forwarder, "forward">;
  budget: PayloadBudget;
  /** Operations that are Kappa's own. */
  own: Pick<BillingApi, "serves" | "answer">;
}

/** Lambda's HTTP API. On the way of a warm invocation there is no promise, no framework and nobody else to ask. */
export class LambdaApi {
  readonly #options: LambdaApiOptions;
  readonly #http: Server;
  readonly #receiving = new Map<IncomingMessage, number>();
  #cancelSweep: (() => void) | undefined;
  #inFlight = 0;
  readonly #closed = () => void this.#inFlight--;
  #draining = false;

  constructor(options: LambdaApiOptions) {
    this.#options = options;
    this.#http = createServer(
      {
        // A running invocation takes as long as it takes; only the headers have to come in time.
        requestTimeout: 0,
        headersTimeout: 10_000,
        keepAliveTimeout: 65_000,
        maxHeaderSize: 32 * 1024,
      },
      (request, response) => this.#receive(request, response),
    );
    this.#http.timeout = 0;
  }

  /** Listens; returns the port. */
  async start(): Promise<number> {
    const port = await listen(this.#http, this.#options.port, this.#options.host);
    this.#sweepLater();
    return port;
  }

  /** Requests received whose answer, if there is one, has not left yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** From now on connections end after the answer, so that callers go elsewhere. */
  drain(): void {
    this.#draining = true;
    this.#http.closeIdleConnections();
  }

  async stop(): Promise<void> {
    this.#cancelSweep?.();
    await new Promise<void>((resolve) => {
      this.#http.close(() => resolve());
      this.#http.closeAllConnections();
    });
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const { clock, random, metrics, budget, authenticator } = this.#options;
    const arrivedAt = clock.monotonic();
    const requestId = random.uuid();
    const target = request.url ?? "/";
    const operation = invokeOperation(request.method ?? "", target) ?? "unknown";
    this.#inFlight++;
    if (this.#draining) response.shouldKeepAlive = false;
    const held = budget.of(request.socket.remoteAddress ?? "");
    const own = operation === "unknown" && this.#options.own.serves(request.method ?? "", target);
    const answered = (status: number) => metrics.request(own ? "GetBillingReport" : operation, status);
    const exchange = new Exchange(response, { requestId, arrivedAt, held, answered, closed: this.#closed });
    if (operation === "unknown" && !own) {
      exchange.refuse(new KappaError("K113", `${request.method} ${target.slice(0, 200)} is no operation that is served here.`));
      return;
    }
    this.#receiving.set(request, arrivedAt);
    const { method = "", headers } = request;
    let identify: Identify;
    try {
      identify = authenticator.authenticate({ method, target, headers });
    } catch (error) {
      this.#drop(request);
      exchange.refuse(error);
      return;
    }
    readBody(request, MAX_PAYLOAD, held, (body) => {
      this.#receiving.delete(request);
      if (body === "aborted") return exchange.abandoned();
      if (body === "noMemory") return exchange.refuse(callerThrottled());
      if (body === "tooLarge") {
        response.shouldKeepAlive = false;
        return exchange.refuse(
          new KappaError("K102", `Request must be smaller than ${MAX_PAYLOAD} bytes for the InvokeFunction operation`),
        );
      }
      exchange.whenOver(() => held.give(body.length));
      exchange.attempt(() =>
        exchange.continueWith(identify(body), (caller) =>
          operation === "unknown"
            ? this.#answerOwn(exchange, caller, target)
            : this.#authorise(exchange, caller, parseInvoke(operation, target, headers), body),
        ),
      );
    });
  }

  /** Node drops the body of what was answered without it; a sender that never ends is ended by the sweep. */
  #drop(request: IncomingMessage): void {
    const { socket } = request;
    const over = () => {
      this.#receiving.delete(request);
      socket.off("close", over);
    };
    // An answered request is not told that its connection broke.
    socket.once("close", over);
    request.once("close", over);
  }

  #answerOwn(exchange: Exchange, caller: Caller, target: string): void {
    exchange.continueWith(this.#options.own.answer(caller, target), (answer) => exchange.whole(answer));
  }

  #authorise(exchange: Exchange, caller: Caller, invoke: InvokeRequest, body: Buffer): void {
    const { accounts, registry, authoriser, region } = this.#options;
    const { reference } = invoke;
    const namespace = reference.accountId === undefined ? caller.namespace : accounts.namespaceOf(reference.accountId);
    if (reference.region !== undefined && reference.region !== region)
      throw new KappaError("K100", `Functions from '${reference.region}' are not reachable in this region ('${region}')`);
    if (namespace === undefined && reference.accountId === undefined)
      throw new KappaError(
        "K103",
        `${caller.username} belongs to no account, so the function must be named by its ARN: arn:aws:lambda:${region}:ACCOUNT:function:${reference.functionName}`,
      );
    const accountId = reference.accountId ?? accounts.idOf(namespace ?? "");
    if (namespace === undefined || accountId === undefined)
      throw new KappaError(
        "K108",
        `User: ${caller.username} is not authorized to perform: lambda:InvokeFunction because its account ${accountId ?? namespace} is not enabled for Kappa`,
      );
    const arn = functionArn({ region, accountId, functionName: reference.functionName });
    const entry = registry.find(namespace, reference.functionName);
    const target = { namespace, name: entry?.name ?? objectName(reference.functionName), arn };
    exchange.continueWith(authoriser.authorise(caller, target), () =>
      this.#accept(exchange, { ...invoke, key: functionKey(namespace, reference.functionName), arn }, body),
    );
  }

  #accept(exchange: Exchange, invoke: InvokeRequest & { key: string; arn: string }, body: Buffer): void {
    const { qualifier } = invoke.reference;
    const { registry, random } = this.#options;
    const entry = registry.byKey(invoke.key);
    const version = entry && resolveQualifier(entry, qualifier, random.chance);
    if (!entry || version === undefined || !hasVersion(entry, version)) throw notFound(invoke.arn, qualifier ?? LATEST);
    if (invoke.type === "Event") throw new KappaError("K115", "InvocationType Event is not served by this release. Use RequestResponse.");
    const payload = body.length === 0 ? EMPTY_PAYLOAD : body;
    exchange.continueWith(body.length === 0 ? undefined : checkJson(body), (problem) => {
      if (problem !== undefined) throw new KappaError("K101", `Could not parse request body into json: ${problem}`);
      if (invoke.type === "DryRun") {
        exchange.dryRun(version);
        return;
      }
      const invokedArn = qualifier === undefined ? invoke.arn : `${invoke.arn}:${qualifier}`;
      const traceId = invoke.traceId ?? newTraceId(this.#options.clock.now(), random);
      const invocation = new LocalInvocation(exchange, { ...invoke, payload, invokedArn, version, traceId }, (again) =>
        this.#route(again, invoke.key),
      );
      this.#route(invocation, invoke.key);
    });
  }

  /** Gives an invocation to the function's owner: to this gateway's dispatcher, or to another gateway. */
  #route(invocation: LocalInvocation, key: string): void {
    const { registry, otherOwner, submit, forwarder, clock, random } = this.#options;
    const { exchange } = invocation;
    if (invocation.routed >= MAX_REROUTES) throw ownerLost();
    const entry = registry.byKey(key);
    // It may have waited long for a former owner, which alone knew that its alias had moved.
    if (invocation.routed++ > 0 && entry) invocation.version = versionNow(entry, invocation, random.chance);
    const other = otherOwner(key);
    if (other === undefined) {
      if (entry) submit(entry, invocation);
      else exchange.refuse(notFoundInvoked(invocation.invokedArn));
      return;
    }
    const { requestId, invokedArn, version, logTail, streaming, clientContext, traceId, payload } = invocation;
    const request = {
      key,
      requestId,
      invokedArn,
      version,
      logTail,
      streaming,
      traceId,
      payload,
      ...(clientContext === undefined ? {} : { clientContext }),
    };
    forwarder.forward(other, request, exchange.response, ({ type, status }) => {
      if (type === "answered") exchange.answered(status);
      else if (type === "failed") exchange.refuse(ownerLost());
      else if (exchange.isGone) exchange.abandoned();
      else clock.setTimeout(() => exchange.attempt(() => this.#route(invocation, key)), REROUTE_PAUSE_MS);
    });
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#options.clock.setTimeout(() => {
      const now = this.#options.clock.monotonic();
      for (const [request, since] of this.#receiving) if (now - since > RECEIVE_MS) request.destroy();
      this.#sweepLater();
    }, 5_000);
  }
}

/** An X-Ray header for a caller that sent none (docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html, Tracing header). */
function newTraceId(now: number, random: Random): string {
  const seconds = Math.floor(now / 1000)
    .toString(16)
    .padStart(8, "0");
  return `Root=1-${seconds}-${random.hex(24)};Parent=${random.hex(16)};Sampled=0`;
}
