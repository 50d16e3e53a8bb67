/** Lines, rate, tail and the function's log as a whole. */
import { Writable } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ContainerOutput } from "./container-output.ts";
import { FunctionLog } from "./function-log.ts";
import { LineSplitter } from "./lines.ts";
import { LogRate } from "./rate.ts";
import { type LogFormat, PlatformRecords } from "./records.ts";
import { LogTail } from "./tail.ts";

const NOW = new Date("2026-01-02T03:04:05.678Z");

function split(maxBytes: number, ...chunks: string[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter(maxBytes, (line) => lines.push(line.toString()));
  for (const chunk of chunks) splitter.push(Buffer.from(chunk));
  splitter.flush();
  return lines;
}

describe("lines", () => {
  test.each<[string, string[], string[]]>([
    ["are cut at line ends", ["a\nb\n"], ["a", "b"]],
    ["are put together from pieces", ["a", "b\nc", "d\n"], ["ab", "cd"]],
    ["may be empty", ["\n\na\n"], ["", "", "a"]],
    ["lose a carriage return before the end", ["a\r\nb\r\n"], ["a", "b"]],
    ["without an end come with a flush", ["a\nb"], ["a", "b"]],
    ["that are too long are split", ["0123456789abcd\n"], ["01234567", "89abcd"]],
    ["of exactly the limit are not", ["01234567\n8\n"], ["01234567", "8"]],
  ])("%s", (_, chunks, expected) => {
    expect(split(8, ...chunks)).toEqual(expected);
  });

  test("are split between characters", () => {
    expect(split(8, "äöüäöüäöü\n")).toEqual(["äöüä", "öüäö", "ü"]);
    expect(split(7, "€€€€\n")).toEqual(["€€", "€€"]);
  });

  test("are the same however the bytes arrive, and none is lost or longer than the limit", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 30 })), fc.array(fc.nat(20)), (texts, cuts) => {
        const bytes = Buffer.from(texts.join("\n"));
        const lines: Buffer[] = [];
        const splitter = new LineSplitter(16, (line) => lines.push(Buffer.from(line)));
        let at = 0;
        for (const cut of cuts) {
          const chunk = Buffer.from(bytes.subarray(at, at + cut));
          splitter.push(chunk);
          // The caller's buffer is used again.
          chunk.fill(0);
          at += cut;
        }
        splitter.push(Buffer.from(bytes.subarray(at)));
        splitter.flush();
        const whole: Buffer[] = [];
        const reference = new LineSplitter(16, (line) => whole.push(Buffer.from(line)));
        reference.push(bytes);
        reference.flush();
        expect(lines.map(String)).toEqual(whole.map(String));
        expect(Math.max(0, ...lines.map((line) => line.length))).toBeLessThanOrEqual(16);
      }),
    );
  });
});

describe("the rate", () => {
  test("lets a burst pass, then what the seconds bring, and counts the rest", () => {
    let now = 0;
    const rate = new LogRate(100, 1000, () => now);
    expect(rate.admit(1000)).toBe(true);
    expect(rate.admit(1)).toBe(false);
    expect(rate.admit(50)).toBe(false);
    expect(rate.dropped).toEqual({ records: 2, bytes: 51 });
    rate.forgetDropped();
    expect(rate.dropped).toBeUndefined();
    now = 500;
    expect(rate.admit(51)).toBe(false);
    expect(rate.admit(50)).toBe(true);
    now = 1_000_000;
    expect(rate.admit(1001)).toBe(false);
    expect(rate.admit(1000)).toBe(true);
  });
});

describe("the tail", () => {
  test("is the end of what was added, in whole bytes, whatever the lines", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 40 })), (lines) => {
        const tail = new LogTail(32);
        for (const line of lines) tail.add(Buffer.from(line));
        const all = Buffer.from(lines.map((line) => `${line}\n`).join(""));
        expect(Buffer.from(tail.toBase64(), "base64")).toEqual(all.subarray(Math.max(0, all.length - 32)));
      }),
    );
  });
});

function logOf(format: LogFormat, sink: (text: string) => boolean = () => true, monotonic = () => 0) {
  const written: string[] = [];
  const unowned: string[] = [];
  const log = new FunctionLog({
    sink: {
      write: (line, prefix = new Uint8Array()) => {
        const text = Buffer.concat([prefix, line, Buffer.from("\n")]).toString();
        const taken = sink(text);
        if (taken) written.push(text);
        return taken;
      },
    },
    now: () => NOW,
    monotonic,
    onUnowned: (line) => unowned.push(line),
  });
  log.push(Buffer.from("before\nthere is a function"));
  const records = new PlatformRecords(format, () => NOW);
  log.configure(format, records);
  return { log, records, written, unowned };
}

describe("a function's log", () => {
  test("has nothing that was written before the function was there", () => {
    const { log, written, unowned } = logOf("Text");
    log.push(Buffer.from("loading\n"));
    expect(written).toEqual(["init\tloading\n"]);
    expect(unowned).toEqual(["before", "there is a function"]);
  });

  test("gives each line the id of the event that runs, and those before it the start's", () => {
    const { log, records, written } = logOf("Text");
    log.push(Buffer.from("loading\n"));
    log.beginEvent("id-1", false);
    log.platform(records.start("id-1", "$LATEST"));
    log.push(Buffer.from("hello\nwor"));
    log.push(Buffer.from("ld"));
    log.catchUp();
    log.platform(records.report("id-1", { durationMs: 1, memorySizeMb: 128, maxMemoryMb: 30 }));
    expect(written).toEqual([
      "init\tloading\n",
      "START RequestId: id-1 Version: $LATEST\n",
      "id-1\thello\n",
      "id-1\tworld\n",
      "END RequestId: id-1\nREPORT RequestId: id-1\tDuration: 1.00 ms\tBilled Duration: 1 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB\n",
    ]);
  });

  test("parts the lines that Python's sink joins with carriage returns", () => {
    const { log, written } = logOf("Text");
    log.beginEvent("id", true);
    log.push(Buffer.from("[ERROR] ValueError: x\rTraceback:\r  line 1\n"));
    expect(written).toEqual(["id\t[ERROR] ValueError: x\n", "id\tTraceback:\n", "id\t  line 1\n"]);
    expect(Buffer.from(log.takeTail() ?? "", "base64").toString()).toBe("[ERROR] ValueError: x\nTraceback:\n  line 1\n");
  });

  test("ends a line that has no end with its event, and reads what is still in the pipe before that", () => {
    const { log, written } = logOf("Text");
    let pending = "";
    log.attach({
      drain: () => {
        log.push(Buffer.from(pending));
        pending = "";
      },
    });
    log.push(Buffer.from("half"));
    log.beginEvent("id-1", false);
    log.push(Buffer.from("first\nsec"));
    pending = "ond";
    log.catchUp();
    expect(written).toEqual(["init\thalf\n", "id-1\tfirst\n", "id-1\tsecond\n"]);
  });

  test("in JSON passes objects on and wraps the rest", () => {
    const { log, written } = logOf("JSON");
    log.push(Buffer.from("early\n"));
    log.beginEvent("id", false);
    log.push(Buffer.from('{"level":"INFO"}\nplain "text"\n'));
    expect(written.map((line) => JSON.parse(line))).toEqual([
      { timestamp: NOW.toISOString(), message: "early" },
      { level: "INFO" },
      { timestamp: NOW.toISOString(), requestId: "id", message: 'plain "text"' },
    ]);
  });

  test("says what was dropped as soon as something passes again, once", () => {
    let open = true;
    const { log, written } = logOf("Text", () => open);
    log.beginEvent("id", false);
    log.push(Buffer.from("one\n"));
    open = false;
    log.push(Buffer.from("two\nthree\n"));
    open = true;
    log.push(Buffer.from("four\n"));
    expect(written).toEqual([
      "id\tone\n",
      "LOGS DROPPED RequestId: id Records: 2 Bytes: 16 Reason: The function writes more than its log takes.\n",
      "id\tfour\n",
    ]);
  });

  test("says amid the lines at most once a second what was dropped, and before the platform's lines always", () => {
    let now = 0;
    let open = true;
    const { log, records, written } = logOf(
      "Text",
      () => open,
      () => now,
    );
    log.beginEvent("id", false);
    const lose = () => {
      open = false;
      log.push(Buffer.from("lost\n"));
      open = true;
      log.push(Buffer.from("line\n"));
    };
    lose();
    now = 999;
    lose();
    lose();
    expect(written.filter((line) => line.startsWith("LOGS DROPPED"))).toHaveLength(1);
    now = 1000;
    lose();
    now = 1001;
    lose();
    log.platform(records.start("id", "1"));
    const told = written.flatMap((line) => /^LOGS DROPPED .*Records: (\d+)/.exec(line)?.[1] ?? []);
    expect(told).toEqual(["1", "3", "1"]);
    expect(written.at(-1)).toBe("START RequestId: id Version: 1\n");
  });

  test("counts what it drops, line by line or many at once, and its tail is the end of all that was written", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(12_000), { maxLength: 40 }), fc.integer({ min: 5_000, max: 65_536 }), (lengths, chunk) => {
        // The first ones are what may be written at once.
        const atOnce = Array.from({ length: 42 }, () => "x".repeat(200_000));
        const lines = [...atOnce, ...lengths.map((length, index) => String(index % 10).repeat(length))];
        const all = Buffer.from(lines.map((line) => `${line}\n`).join(""));
        const { log, records, written } = logOf("Text");
        log.beginEvent("id", true);
        for (let at = 0; at < all.length; at += chunk) log.push(all.subarray(at, at + chunk));
        log.catchUp();
        expect(Buffer.from(log.takeTail() ?? "", "base64").equals(all.subarray(Math.max(0, all.length - 4096)))).toBe(true);
        log.platform(records.start("id", "1"));
        const kept = written.filter((line) => line.startsWith("id\t"));
        const dropped = { records: 0, bytes: 0 };
        for (const line of written) {
          const [, records, bytes] = /^LOGS DROPPED .*Records: (\d+) Bytes: (\d+)/.exec(line) ?? [];
          dropped.records += Number(records ?? 0);
          dropped.bytes += Number(bytes ?? 0);
        }
        expect(kept.length + dropped.records).toBe(lines.length);
        expect(kept.join("").length + dropped.bytes).toBe(all.length + 3 * lines.length);
      }),
      { numRuns: 30 },
    );
  });

  test("keeps the platform's lines however much the function writes", () => {
    const { log, records, written } = logOf("Text");
    log.beginEvent("id", false);
    const line = Buffer.from(`${"x".repeat(200_000)}\n`);
    for (let count = 0; count < 100; count++) log.push(line);
    log.platform(records.report("id", { durationMs: 1, memorySizeMb: 128, maxMemoryMb: 30 }));
    expect(written.length).toBeLessThan(50);
    expect(written.at(-2)).toMatch(/^LOGS DROPPED RequestId: id Records: \d+ /);
    expect(written.at(-1)).toMatch(/^END RequestId: id\nREPORT /);
  });
});

describe("the container's output", () => {
  test("that nobody takes away keeps what there is room for, and room for the platform's lines", () => {
    const stuck = new Writable({ write: () => {}, highWaterMark: 1 });
    const output = new ContainerOutput(stuck);
    const line = Buffer.alloc(999, "x");
    let kept = 0;
    while (output.write(line)) {
      kept++;
      if (kept % 100 === 0) output.flush();
    }
    expect(kept).toBe(Math.floor((2 * 1024 * 1024) / 1000));
    expect(output.write(Buffer.from("REPORT"), undefined, true)).toBe(true);
    for (let more = 0; more < 100; more++) output.write(line, undefined, true);
    expect(output.write(line, undefined, true)).toBe(false);
    output.flush();
    expect(stuck.writableLength).toBeLessThanOrEqual((2 * 1024 + 64) * 1024);
  });

  test("is every line in its order, whether or not what came before was taken", async () => {
    const taken: Buffer[] = [];
    const slow = new Writable({
      write: (chunk: Buffer, _, done) => {
        // The bytes are read later, as the operating system does.
        setImmediate(() => {
          taken.push(Buffer.from(chunk));
          done();
        });
      },
    });
    const output = new ContainerOutput(slow);
    const expected: string[] = [];
    for (let index = 0; index < 500; index++) {
      const line = String(index).repeat(1 + (index % 90));
      output.write(Buffer.from(line), Buffer.from("id\t"));
      expected.push(`id\t${line}\n`);
      if (index % 7 === 0) output.flush();
      if (index % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await output.end(10_000);
    expect(Buffer.concat(taken).toString()).toBe(expected.join(""));
  });
});

describe("the platform's records", () => {
  const text = new PlatformRecords("Text", () => NOW);
  const json = new PlatformRecords("JSON", () => NOW);
  const usage = { durationMs: 1000, memorySizeMb: 128, maxMemoryMb: 30 };

  test("tell a time-out in Lambda's words", () => {
    const message = "RequestId: id Error: Task timed out after 1.00 seconds";
    expect(text.failure("id", "Sandbox.Timedout", message)).toBe("2026-01-02T03:04:05.678Z id Task timed out after 1.00 seconds\n");
    expect(json.failure("id", "Sandbox.Timedout", message)).toBeUndefined();
    expect(JSON.parse(json.report("id", usage, { status: "timeout" }) ?? "")).toMatchObject({
      type: "platform.report",
      record: { status: "timeout" },
    });
  });

  test("tell an exit with its type on a line of its own", () => {
    expect(text.failure("id", "Runtime.ExitError", "RequestId: id Error: Runtime exited")).toBe(
      "RequestId: id Error: Runtime exited\nRuntime.ExitError",
    );
  });

  test("tell a failed start", () => {
    expect(text.initReport(12.345, "init", { status: "error", errorType: "Runtime.ExitError" })).toBe(
      "INIT_REPORT Init Duration: 12.35 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError",
    );
    expect(text.initReport(10_000, "invoke", { status: "timeout" })).toBe(
      "INIT_REPORT Init Duration: 10000.00 ms\tPhase: invoke\tStatus: timeout",
    );
    expect(JSON.parse(json.initReport(1, "init", { status: "error", errorType: "E" }) ?? "")).toEqual({
      time: NOW.toISOString(),
      type: "platform.initReport",
      record: { phase: "init", status: "error", errorType: "E", metrics: { durationMs: 1 } },
    });
  });

  test("of success are left out at the level WARN, in JSON alone", () => {
    const warn = new PlatformRecords("JSON", () => NOW, "WARN");
    expect(warn.start("id", "1")).toBeUndefined();
    expect(warn.report("id", usage)).toBeUndefined();
    expect(warn.report("id", usage, { status: "error", errorType: "E" })).toContain("platform.report");
    expect(warn.initReport(1, "init", { status: "timeout" })).toContain("platform.initReport");
    expect(warn.dropped("id", { records: 1, bytes: 1 })).toContain("platform.logsDropped");
    expect(json.start("id", "1")).toContain("platform.start");
    expect(new PlatformRecords("Text", () => NOW, "WARN").start("id", "1")).toContain("START");
  });

  test("tell what was dropped", () => {
    expect(JSON.parse(json.dropped("id", { records: 2, bytes: 10 }) ?? "")).toMatchObject({
      type: "platform.logsDropped",
      record: { droppedRecords: 2, droppedBytes: 10 },
    });
    expect(text.dropped(undefined, { records: 1, bytes: 1 })).toContain("RequestId: - ");
  });
});
