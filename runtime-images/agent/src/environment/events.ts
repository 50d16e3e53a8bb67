/**
 * The events of an environment, one at a time: from its arrival over its answer to the end of its log.
 *
 * What the runtime does meanwhile is not known here; environment.ts calls {@link Events.handOver} when it takes the event and
 * {@link Events.close} when it asks for the next one.
 */
import type { Assignment, Invoke, Result } from "../../../../operator/src/api/environment-protocol.ts";
import { MAX_STREAMED, STREAM_WINDOW } from "../../../../operator/src/api/environment-protocol.ts";
import { billedDurationMs, type Failure, type Usage } from "../../../../operator/src/domain/billing.ts";
import { SETTLE_MS } from "../limits.ts";
import type { FunctionLog } from "../logs/function-log.ts";
import type { PlatformRecords } from "../logs/records.ts";
import { ResponseStream, type StreamEnd, type StreamSource } from "../runtime-api/response-stream.ts";
import type { DeliveredEvent } from "../runtime-api/server.ts";
import { errorBody, type PlatformError, streamTooLarge, truncated } from "./failures.ts";

/** Whoever waits for an event's answer. */
export interface Caller {
  /** Takes a part of a streamed response; the content type comes with the first one. */
  chunk(bytes: Uint8Array, contentType: string | undefined): void;
  /** Takes the end of the event. The body is in pieces. */
  result(result: Result, body: Uint8Array[]): void;
}

/** What the function or the platform ended an event with, when it was no success. */
export interface Ending {
  errorType: string;
  /** Set when it was the platform. */
  platform?: PlatformError;
}

/** The event that was taken. */
export interface TakenEvent {
  invoke: Invoke;
  payload: Uint8Array;
  caller: Caller;
  /** Whether its START was written: after a start of the runtime that it had to wait for. */
  announced: boolean;
  /** What it streams from now on is for nobody. */
  callerLost: boolean;
  /** Set as soon as the runtime streams its response. */
  stream: ResponseStream | undefined;
  /** When its time began, on the monotonic clock; set when it is handed over, or on arrival if the runtime had to be started for it. */
  startedAt: number | undefined;
  /** The same as an end in epoch milliseconds. */
  deadlineMs: number;
}

/**
 * An event whose answer is known and whose log is not written to its end yet: what the runtime writes until it asks for the next
 * event is still of this one. AWS's client for Java posts an exception first and logs its stack trace afterwards.
 */
interface AnsweredEvent {
  requestId: string;
  usage: Usage;
  /** Set when the platform ended it. */
  failure: { error: PlatformError; status: Failure["status"] } | undefined;
  /** Set when the caller waits for the log. */
  answer: ((logTail: string | undefined) => void) | undefined;
}

/** The function whose events they are. */
export interface EventsOf {
  assignment: Pick<Assignment, "timeout" | "memorySize" | "version">;
  records: PlatformRecords;
}

export interface EventsOptions {
  log: FunctionLog;
  /** Wall clock. */
  now: () => Date;
  /** Milliseconds on a clock that never goes back. */
  monotonic: () => number;
  /** Highest use of memory so far, MiB; after a first start as it is now. */
  maxMemoryMb: (first: boolean) => number;
  /**
   * The runtime has answered, or the platform for it, and goes on until it asks for the next event.
   * @returns false when there is no such runtime
   */
  onAnswer: () => boolean;
  /** The time of the running event, or of what the runtime does after its answer, is over. */
  onDeadline: () => void;
  /** Whether another event can be taken after this one. */
  reusable: () => boolean;
  /** An event's usage is known: nothing of it is measured any more. */
  onComplete: () => void;
  /** The caller has its answer, and there is no other event. */
  onIdle: () => void;
}

export class Events {
  readonly #options: EventsOptions;
  #of: EventsOf | undefined;
  #current: TakenEvent | undefined;
  /** The event before; there only until the runtime asks for the next one. */
  #answered: AnsweredEvent | undefined;
  /** Milliseconds of the first start; taken by the first event's report. */
  #initDurationMs: number | undefined;
  #deadlineTimer: NodeJS.Timeout | undefined;
  /** Runs while it is open whether a streamed response broke off because its runtime has ended. */
  #brokenTimer: NodeJS.Timeout | undefined;

  constructor(options: EventsOptions) {
    this.#options = options;
  }

  /** From here on they are those of this function. */
  configure(of: EventsOf): void {
    this.#of = of;
  }

  /** The runtime's first start was not part of an event. */
  started(initDurationMs: number): void {
    this.#initDurationMs = initDurationMs;
  }

  /** The event that was taken and has no answer yet. */
  get current(): TakenEvent | undefined {
    return this.#current;
  }

  /** Whether an event waits for its answer, or its caller for the log. */
  get occupied(): boolean {
    return this.#current !== undefined || this.#answered?.answer !== undefined;
  }

  /** Takes an event. Its log begins when that of the one before has ended. */
  take(invoke: Invoke, payload: Uint8Array, caller: Caller): void {
    this.#current = {
      invoke,
      payload,
      caller,
      announced: false,
      callerLost: false,
      stream: undefined,
      startedAt: undefined,
      deadlineMs: 0,
    };
    if (!this.#answered) this.#options.log.beginEvent(invoke.requestId, invoke.logTail);
  }

  /** The event's time begins, if there is one. */
  beginTime(): void {
    const event = this.#current;
    if (event === undefined) return;
    const limitMs = this.#limitMs;
    event.startedAt = this.#options.monotonic();
    event.deadlineMs = this.#options.now().getTime() + limitMs;
    clearTimeout(this.#deadlineTimer);
    this.#deadlineTimer = setTimeout(this.#options.onDeadline, limitMs);
  }

  /** The runtime takes the event. @returns it as the runtime is to get it */
  handOver(event: TakenEvent): DeliveredEvent {
    if (event.startedAt === undefined) this.beginTime();
    this.#announce(event);
    const { requestId, invokedFunctionArn, traceId, clientContext, cognitoIdentity } = event.invoke;
    return {
      requestId,
      invokedFunctionArn,
      deadlineMs: event.deadlineMs,
      payload: event.payload,
      ...(traceId === undefined ? {} : { traceId }),
      ...(clientContext === undefined ? {} : { clientContext }),
      ...(cognitoIdentity === undefined ? {} : { cognitoIdentity }),
    };
  }

  /** The caller has taken so many bytes of the streamed response. Of an event that is over it means nothing. */
  credit(requestId: string, bytes: number): void {
    if (this.#current?.invoke.requestId === requestId) this.#current.stream?.credit(bytes);
  }

  /** The caller is gone: the event goes on, and what it streams is dropped. */
  callerLost(requestId: string): void {
    const event = this.#current;
    if (event?.invoke.requestId !== requestId) return;
    event.callerLost = true;
    event.stream?.discard();
  }

  /** The runtime answers. */
  respond(body: Uint8Array[], ending?: Ending): void {
    const event = this.#current;
    if (event !== undefined && this.#options.onAnswer()) this.#complete(event, body, ending, true);
  }

  /** The platform answers in the runtime's place, which goes on. */
  fail(error: PlatformError): void {
    this.respond([errorBody(error)], { errorType: error.errorType, platform: error });
  }

  /** The runtime streams its answer. */
  stream(source: StreamSource): ResponseStream {
    const event = this.#current;
    const stream: ResponseStream = new ResponseStream({
      source,
      window: STREAM_WINDOW,
      max: MAX_STREAMED,
      send: (bytes, first) => event?.caller.chunk(bytes, first ? source.contentType : undefined),
      onEnd: (end) => this.#onStreamEnd(end),
    });
    if (event) event.stream = stream;
    if (!event || event.callerLost) stream.discard();
    return stream;
  }

  /** The runtime has begun to answer and will not end it. */
  truncated(): void {
    if (this.#current?.stream) this.fail(truncated(this.#current.invoke.requestId));
  }

  /** The runtime is gone. Whether a response broke off is no question any more. */
  runtimeEnded(): void {
    clearTimeout(this.#brokenTimer);
  }

  /** Takes the event away, to be answered by {@link Events.end}. */
  withdraw(): TakenEvent | undefined {
    const event = this.#current;
    this.#current = undefined;
    return event;
  }

  /** Answers an event whose runtime is gone. */
  end(event: TakenEvent, body: Uint8Array[], ending: Ending): void {
    this.#complete(event, body, ending, false);
  }

  /** The runtime is done with the event that was answered: ends its log, and begins that of the event that has come meanwhile. */
  close(): void {
    const answered = this.#answered;
    if (answered === undefined) return;
    this.#answered = undefined;
    const { log } = this.#options;
    const { requestId, usage, failure, answer } = answered;
    log.catchUp();
    const records = this.#of?.records;
    if (failure) log.platform(records?.failure(requestId, failure.error.errorType, failure.error.message));
    log.platform(records?.report(requestId, usage, failure && { status: failure.status, errorType: failure.error.errorType }));
    const logTail = log.takeTail();
    answer?.(logTail);
    if (this.#current) log.beginEvent(this.#current.invoke.requestId, this.#current.invoke.logTail);
    else this.#options.onIdle();
  }

  /** What the runtime does from here on has no limit. */
  stopTime(): void {
    clearTimeout(this.#deadlineTimer);
  }

  /** Nothing more is going to happen. */
  stopTimers(): void {
    clearTimeout(this.#deadlineTimer);
    clearTimeout(this.#brokenTimer);
  }

  get #limitMs(): number {
    return (this.#of?.assignment.timeout ?? 0) * 1000;
  }

  #announce(event: TakenEvent): void {
    if (event.announced) return;
    event.announced = true;
    this.#options.log.platform(this.#of?.records.start(event.invoke.requestId, this.#of.assignment.version));
  }

  #onStreamEnd(end: StreamEnd): void {
    switch (end.how) {
      case "complete":
        this.respond([]);
        break;
      case "tooLarge":
        this.fail(streamTooLarge(MAX_STREAMED));
        break;
      case "error":
        this.respond([end.body ?? errorBody({ errorType: end.errorType, message: "" })], { errorType: end.errorType });
        break;
      case "broken":
        // The runtime has ended, most often; its end says more.
        this.#brokenTimer = setTimeout(() => this.truncated(), SETTLE_MS);
    }
  }

  /** @param goesOn whether there is a runtime that goes on until it asks for the next event */
  #complete(event: TakenEvent, body: Uint8Array[], ending: Ending | undefined, goesOn: boolean): void {
    const { invoke, caller, stream } = event;
    clearTimeout(this.#brokenTimer);
    stream?.abort();
    this.#announce(event);
    const timeout = ending?.errorType === "Sandbox.Timedout" && ending.platform !== undefined;
    const usage = this.#usage(event, timeout);
    this.#initDurationMs = undefined;
    this.#current = undefined;
    this.#options.onComplete();
    if (!goesOn) this.stopTime();
    const result: Result = {
      requestId: invoke.requestId,
      ...(ending ? { functionError: "Unhandled", errorType: ending.errorType } : {}),
      billedMs: billedDurationMs(usage),
      ...(stream?.started ? { streamed: true } : {}),
      reusable: this.#options.reusable(),
      ...resultUsage(usage),
    };
    // A caller that does not want the log does not wait for it.
    if (!invoke.logTail) caller.result(result, body);
    this.#answered = {
      requestId: invoke.requestId,
      usage,
      failure: ending?.platform && { error: ending.platform, status: timeout ? "timeout" : "error" },
      answer: invoke.logTail ? (logTail) => caller.result(logTail === undefined ? result : { ...result, logTail }, body) : undefined,
    };
    if (!goesOn) this.close();
    else if (!invoke.logTail) this.#options.onIdle();
  }

  #usage(event: TakenEvent, timeout: boolean): Usage {
    const initDurationMs = this.#initDurationMs;
    const now = this.#options.monotonic();
    return {
      durationMs: timeout ? this.#limitMs : now - (event.startedAt ?? now),
      ...(initDurationMs === undefined ? {} : { initDurationMs }),
      memorySizeMb: this.#of?.assignment.memorySize ?? 0,
      // Of the first event as it is now in any case: it is the one that people look at to choose a size.
      maxMemoryMb: this.#options.maxMemoryMb(initDurationMs !== undefined),
    };
  }
}

function resultUsage(usage: Usage): Pick<Result, "durationMs" | "initDurationMs" | "maxMemoryMb"> {
  const { durationMs, initDurationMs, maxMemoryMb } = usage;
  return { durationMs, maxMemoryMb, ...(initDurationMs === undefined ? {} : { initDurationMs }) };
}
