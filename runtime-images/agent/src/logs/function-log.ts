/**
 * A function's log: what the runtime writes and what the platform adds, line by line, to the container's output with the request
 * id, and the tail of it for callers that ask.
 *
 * Text format: the platform's lines as Lambda writes them, the function's as `REQUEST-ID<TAB>line` (`init` before the first event).
 * JSON format: one object a line; the function's lines that are objects pass unchanged, others are wrapped.
 */
import { DRAIN_BYTES, DROPPED_NOTE_MS, LOG_BURST_BYTES, LOG_BYTES_PER_SECOND, LOG_TAIL_BYTES, MAX_LINE_BYTES } from "../limits.ts";
import { isKept, type LogLevel, lineLevel } from "./levels.ts";
import { LineSplitter } from "./lines.ts";
import { LogRate } from "./rate.ts";
import type { LogFormat, PlatformRecords } from "./records.ts";
import { LogTail } from "./tail.ts";

/** Where finished lines go. */
export interface LogSink {
  /**
   * Takes a line without its end; the bytes are copied.
   * @param prefix what comes before it on the same line
   * @param platform whether it is the platform's, for which room is kept
   * @returns false when it was dropped because nobody takes lines away
   */
  write(line: Uint8Array, prefix?: Uint8Array, platform?: boolean): boolean;
}

/** What lines are read from. */
export interface LogSource {
  /** Delivers what was written until now. */
  drain(maxBytes: number): void;
}

export interface FunctionLogOptions {
  sink: LogSink;
  now: () => Date;
  /** Milliseconds on a clock that never goes back. */
  monotonic: () => number;
  /** Takes a line that was written before there was a function whose log it could be in. */
  onUnowned: (line: string) => void;
}

/** Python's log sink parts the lines of one record with a bare carriage return (awslambdaric, StandardLogSink). */
const RECORD_LINE_BREAK = 0x0d;

const NEWLINE = 0x0a;

/** What is around a line that becomes a JSON object, with a request id; what is escaped in it comes on top. */
const WRAPPING_BYTES = 105;

export class FunctionLog {
  readonly #sink: LogSink;
  readonly #now: () => Date;
  readonly #monotonic: () => number;
  readonly #onUnowned: (line: string) => void;
  readonly #rate: LogRate;
  readonly #splitter = new LineSplitter(MAX_LINE_BYTES, (line) => this.#functionLine(line));
  #source: LogSource | undefined;
  #format: LogFormat = "Text";
  #records: PlatformRecords | undefined;
  #lowest: LogLevel = "TRACE";
  #requestId: string | undefined;
  #prefix = Buffer.from("init\t");
  /** The first event's tail begins with the start of the runtime, as on Lambda. */
  #tail: LogTail | undefined = new LogTail(LOG_TAIL_BYTES);
  /** When it was last told that lines were dropped. */
  #toldDroppedAt = Number.NEGATIVE_INFINITY;

  constructor(options: FunctionLogOptions) {
    this.#sink = options.sink;
    this.#now = options.now;
    this.#monotonic = options.monotonic;
    this.#onUnowned = options.onUnowned;
    this.#rate = new LogRate(LOG_BYTES_PER_SECOND, LOG_BURST_BYTES, options.monotonic);
  }

  /** Connects the log with what it is read from. */
  attach(source: LogSource): void {
    this.#source = source;
  }

  /**
   * From here on it is the log of a function.
   * @param lowest level of the function's own lines that is kept in the JSON format; default: all are
   */
  configure(format: LogFormat, records: PlatformRecords, lowest: LogLevel = "TRACE"): void {
    // What a zygote wrote before is nothing of the function's.
    this.catchUp();
    this.#format = format;
    this.#records = records;
    this.#lowest = lowest;
  }

  /** Bytes from the runtime. The buffer is only valid during the call. */
  readonly push = (chunk: Buffer): void => {
    const [from, to] = this.#excess(chunk);
    if (from === to) {
      this.#splitter.push(chunk);
      return;
    }
    this.#splitter.push(chunk.subarray(0, from));
    const lines = countLines(chunk, from, to);
    this.#rate.drop(to - from + (this.#format === "Text" ? lines * this.#prefix.length : 0), lines);
    this.#splitter.push(chunk.subarray(to));
  };

  /** From here on lines belong to this event. What the former one left unread in the pipe counts as this one's, as on Lambda. */
  beginEvent(requestId: string, withTail: boolean): void {
    this.#splitter.flush();
    const ofStart = this.#requestId === undefined ? this.#tail : undefined;
    this.#requestId = requestId;
    this.#prefix = Buffer.from(`${requestId}\t`);
    this.#tail = withTail ? (ofStart ?? new LogTail(LOG_TAIL_BYTES)) : undefined;
  }

  /** Reads what the runtime has written until now; a line without an end counts as one. */
  catchUp(): void {
    this.#source?.drain(DRAIN_BYTES);
    this.#splitter.flush();
  }

  /** Writes a record of the platform, if there is one. It is never dropped for the function's rate. */
  platform(record: string | undefined): void {
    if (record === undefined) return;
    const bytes = Buffer.from(record);
    this.#tail?.add(bytes);
    this.#tellDropped();
    if (!this.#sink.write(bytes, undefined, true)) this.#rate.drop(bytes.length + 1);
  }

  /** The tail of the current event's log, base64, and no more tail from here on. */
  takeTail(): string | undefined {
    const tail = this.#tail?.toBase64();
    this.#tail = undefined;
    return tail;
  }

  #functionLine(line: Buffer): void {
    if (!this.#records) {
      this.#onUnowned(line.toString());
      return;
    }
    let start = 0;
    for (let end = line.indexOf(RECORD_LINE_BREAK); end >= 0; end = line.indexOf(RECORD_LINE_BREAK, start)) {
      this.#physicalLine(line.subarray(start, end));
      start = end + 1;
    }
    this.#physicalLine(start === 0 ? line : line.subarray(start));
  }

  #physicalLine(line: Buffer): void {
    if (this.#format === "JSON" && this.#lowest !== "TRACE" && !isKept(lineLevel(line), this.#lowest)) return;
    this.#tail?.add(line);
    if (!this.#rate.admit(line.length + 1 + this.#overhead(line))) return;
    if (this.#rate.dropped && this.#monotonic() - this.#toldDroppedAt >= DROPPED_NOTE_MS) this.#tellDropped();
    if (this.#format === "Text") this.#write(line, this.#prefix);
    else this.#write(isObject(line) ? line : this.#wrapped(line));
  }

  /** Bytes that are written beside those of a line. */
  #overhead(line: Buffer): number {
    if (this.#format === "Text") return this.#prefix.length;
    return isObject(line) ? 0 : WRAPPING_BYTES;
  }

  #wrapped(line: Buffer): Buffer {
    const requestId = this.#requestId === undefined ? {} : { requestId: this.#requestId };
    return Buffer.from(JSON.stringify({ timestamp: this.#now().toISOString(), ...requestId, message: line.toString() }));
  }

  #tellDropped(): void {
    const { dropped } = this.#rate;
    const record = dropped && this.#records?.dropped(this.#requestId, dropped);
    if (record === undefined || !this.#sink.write(Buffer.from(record), undefined, true)) return;
    this.#rate.forgetDropped();
    this.#toldDroppedAt = this.#monotonic();
  }

  /**
   * Whole lines of a chunk that are over the rate whatever is in them: they are counted, not looked at, or a function that never
   * stops writing would have the agent at work all the time. Not among them is what the tail may show.
   * @returns from where to where
   */
  #excess(chunk: Buffer): [from: number, to: number] {
    const none: [number, number] = [0, 0];
    const levelled = this.#format === "JSON" && this.#lowest !== "TRACE";
    if (chunk.length <= LOG_TAIL_BYTES || levelled || this.#rate.has(chunk.length)) return none;
    const from = chunk.indexOf(NEWLINE) + 1;
    const to = chunk.lastIndexOf(NEWLINE, chunk.length - LOG_TAIL_BYTES - 1) + 1;
    return from > 0 && to > from ? [from, to] : none;
  }

  #write(line: Uint8Array, prefix?: Uint8Array): void {
    if (!this.#sink.write(line, prefix)) this.#rate.drop((prefix?.length ?? 0) + line.length + 1);
  }
}

/** By a loop: a search for each of many short lines takes ten times as long. */
function countLines(chunk: Buffer, from: number, to: number): number {
  let lines = 0;
  for (let at = from; at < to; at++) if (chunk[at] === NEWLINE) lines++;
  return lines;
}

/** Whether a line looks like one JSON object; it is not parsed. */
function isObject(line: Buffer): boolean {
  return line[0] === 0x7b && line.at(-1) === 0x7d;
}
