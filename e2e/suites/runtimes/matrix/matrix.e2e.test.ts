/**
 * Every runtime × everything that a function can answer or fail with, through AWS's own client: one table (table.ts), one test a cell.
 * After a cell that fails the next invocation works, and no cell shows anything of what runs the function.
 */
import { InvokeCommand, type InvokeCommandInput } from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, eventually } from "../../support/cluster.ts";
import { lambdaClient } from "../../support/lambda.ts";
import { codeOf, lambdaFunction } from "../support/functions.ts";
import { zipOf } from "../support/zip.ts";
import { type BadStart, type Failure, TABLE, TOO_LARGE, timedOut } from "./table.ts";

/** Lambda's limits (LAMBDA.md: 6 MB each way; a response may have 100 bytes more). */
const MAX_REQUEST = 6_291_456;
const MAX_RESPONSE = 6_291_556;
/** Of a longer log the caller gets the end. */
const MAX_LOG_TAIL = 4_096;
const WARM_CALLS = 1_000;
/** So that a start is not the time of a start on a tenth of a processor. */
const MEMORY_MB = 1024;

/** One client, one connection, no second attempt that would hide a first answer. */
const client = lambdaClient(1);

interface Answer {
  functionError: string | undefined;
  text: string;
  log: string;
}

async function call(
  name: string,
  event: unknown,
  more: Partial<InvokeCommandInput> = {},
  headers: Record<string, string> = {},
): Promise<Answer> {
  const payload = typeof event === "string" ? event : JSON.stringify(event);
  const command = new InvokeCommand({ FunctionName: name, Payload: payload, ...more });
  command.middlewareStack.add(
    (next) => (args) => {
      Object.assign((args.request as { headers: Record<string, string> }).headers, headers);
      return next(args);
    },
    { step: "build" },
  );
  const output = await client.send(command);
  expect(output.$metadata.httpStatusCode).toBe(200);
  const text = Buffer.from(output.Payload ?? []).toString();
  const log = Buffer.from(output.LogResult ?? "", "base64").toString();
  expect(output.ExecutedVersion).toBe("$LATEST");
  expectNothingOfOurs(name, `${text}\n${log}`);
  return { functionError: output.FunctionError, text, log };
}

/** Pods' names begin with the function's, which no cell's function tells. */
function expectNothingOfOurs(name: string, told: string): void {
  for (const word of [/kappa/i, /gateway/i, /\bagent\b/i, /\.svc\b/, new RegExp(name)]) expect(told).not.toMatch(word);
}

async function value(name: string, event: unknown, ...more: [Partial<InvokeCommandInput>?, Record<string, string>?]): Promise<unknown> {
  const answer = await call(name, event, ...more);
  expect(answer.functionError, answer.text).toBeUndefined();
  return JSON.parse(answer.text);
}

const works = async (name: string): Promise<void> => expect(await value(name, { next: 1 })).toEqual({ next: 1 });

/** The error document is the expected one, and the log is an invocation's. */
function expectFailure({ functionError, text, log }: Answer, expected: Failure): void {
  expect(functionError, text).toBe("Unhandled");
  const { errorType, errorMessage, ...document } = JSON.parse(text);
  expect(errorType ?? undefined, text).toBe(expected.errorType);
  expect(errorMessage).toMatch(expected.message);
  const [field, lines] = expected.stack ?? ["stackTrace", /^$/];
  const stack = (document[field] ?? []) as unknown[];
  expect(stack.map((line) => (typeof line === "string" ? line : JSON.stringify(line))).join("\n"), text).toMatch(lines);
  const begun = Buffer.byteLength(log) < MAX_LOG_TAIL ? [/^START RequestId: /m] : [];
  for (const line of [...begun, /^END RequestId: /m, /^REPORT RequestId: /m]) expect(log).toMatch(line);
}

const TAIL = { LogType: "Tail" } as const;

describe.each(TABLE.map((row) => [row.name, row] as const))("%s", (_, row) => {
  const name = `e2e-matrix-${row.name.replaceAll(/[^a-z0-9]+/g, "-")}`;
  const slowName = `${name}-slow`;
  const starts = Object.entries(row.starts).map(([cell, start], i) => ({ cell, start, name: `${name}-start-${i}` }));
  let code: object;
  let slowAnswer: Promise<Answer> | undefined;

  const working = (name: string): object =>
    lambdaFunction(name, row.runtime, row.handler, code, { timeout: row.timeout, memorySize: MEMORY_MB });

  async function broken(name: string, { handler, environment, files }: BadStart): Promise<object> {
    const otherCode = files ? await codeOf(`${name}.zip`, zipOf(await files())) : code;
    return lambdaFunction(name, row.runtime, handler ?? row.handler, otherCode, {
      timeout: row.timeout,
      memorySize: MEMORY_MB,
      ...(environment && { environment: { variables: environment } }),
    });
  }

  beforeAll(async () => {
    code = await codeOf(`${name}.zip`, zipOf(await row.files()));
    const slow = lambdaFunction(slowName, row.runtime, row.handler, code, {
      timeout: 30,
      memorySize: MEMORY_MB,
      environment: { variables: { INIT: "slow" } },
    });
    const failing = await Promise.all(starts.map(({ name, start }) => broken(name, start)));
    await applyAndWait(working(name), ...failing, ...(row.small ? [] : [slow]));
    // It only sleeps: the other cells need not wait for it.
    if (!row.small) slowAnswer = call(slowName, { kind: "starts" }, TAIL);
    slowAnswer?.catch(() => {}); // its cell looks at it
    await works(name);
  });

  afterAll(() => deleteFunctions(name, slowName, ...starts.map((s) => s.name)));

  const cell = (title: string, run: () => Promise<void>): void => test(`${row.name} × ${title}`, run);

  cell("echo", async () => {
    const event = { text: "ä€𝄞\u0000\n", number: 1.5, list: [true, null, { deep: {} }] };
    expect(await value(name, event)).toEqual(event);
  });

  for (const [title, [kind, expected]] of Object.entries(row.invocations)) {
    cell(title, async () => {
      const answer = await call(name, { kind }, TAIL);
      if ("verbatim" in expected) expect(answer).toMatchObject({ functionError: undefined, text: expected.verbatim });
      else expectFailure(answer, expected);
      await works(name);
    });
  }

  cell("time-out", async () => {
    const answer = await call(name, { kind: "sleep", ms: 60_000 }, TAIL);
    expectFailure(answer, timedOut(row.timeout));
    expect(answer.log).toMatch(new RegExp(`Task timed out after ${row.timeout}\\.00 seconds`));
    await works(name);
  });

  if (!row.small) {
    cell("6 MB each way", async () => {
      const frame = '{"text":""}'.length;
      const event = { text: "x".repeat(MAX_REQUEST - frame) };
      expect(await value(name, event)).toEqual(event);
      const { text } = await call(name, { kind: "large", size: MAX_RESPONSE });
      expect(text.length).toBe(MAX_RESPONSE);
    });

    cell("6 MB + 1", async () => {
      const tooLarge = client.send(new InvokeCommand({ FunctionName: name, Payload: `"${"x".repeat(MAX_REQUEST - 1)}"` }));
      await expect(tooLarge).rejects.toMatchObject({
        name: "RequestTooLargeException",
        message: `Request must be smaller than ${MAX_REQUEST} bytes for the InvokeFunction operation`,
        $metadata: { httpStatusCode: 413 },
      });
      await works(name);
      expectFailure(await call(name, { kind: "large", size: MAX_RESPONSE + 1 }, TAIL), TOO_LARGE);
      await works(name);
    });
  }

  cell("deadline", async () => {
    const [first, second] = (await value(name, { kind: "deadline" })) as [number, number];
    expect(first).toBeLessThanOrEqual(row.timeout * 1000);
    expect(second).toBeGreaterThan(0);
    // It slept for 100 ms in between; clocks of milliseconds may round one of them away.
    expect(first - second).toBeGreaterThanOrEqual(99);
  });

  cell("client context", async () => {
    const custom = { color: "blue", size: "xl" };
    const context = { custom, client: { app_title: "matrix" }, env: { locale: "de" } };
    const found = (await value(name, { kind: "context" }, { ClientContext: Buffer.from(JSON.stringify(context)).toString("base64") })) as {
      custom: unknown;
      client: string | { app_title: string };
    };
    expect(found.custom).toEqual(custom);
    expect(typeof found.client === "string" ? found.client : found.client.app_title).toBe("matrix");
  });

  cell("trace id", async () => {
    const root = "Root=1-5759e988-bd862e3fe1be46a994272793";
    const given = `${root};Parent=53995c3f42cd8ad8;Sampled=1`;
    const traced = (await value(name, { kind: "trace" }, {}, { "X-Amzn-Trace-Id": given })) as string;
    expect(traced.split(";")).toEqual(expect.arrayContaining([root, "Sampled=1"]));
    // Without one Lambda makes one.
    const made = (await value(name, { kind: "trace" })) as string;
    expect(made).toMatch(/^Root=1-[0-9a-f]{8}-[0-9a-f]{24}(?:;|$)/);
    expect(made).not.toContain(root);
  });

  if (!row.small) {
    cell(`${WARM_CALLS.toLocaleString("en")} warm calls`, async () => {
      const streams = new Set<string>();
      for (let n = 0; n < WARM_CALLS; n++) {
        const answer = (await value(name, { kind: "warm", n })) as { n: number; stream: string };
        expect(answer.n).toBe(n);
        streams.add(answer.stream);
      }
      expect([...streams]).toHaveLength(1);
    });
  }

  for (const { cell: title, start, name } of starts) {
    cell(title, async () => {
      const answer = await call(name, {}, TAIL);
      expectFailure(answer, start.answer);
      if (start.log) expect(answer.log).toMatch(start.log);
      // Once for the start, once more for the event that tried again (guide, "Failures during the Init phase").
      if (!start.starts) expect(answer.log).toMatch(/^INIT_REPORT Init Duration: \d+\.\d{2} ms\tPhase: invoke\tStatus: error\b/m);
      // It stays so until it is mended.
      expectFailure(await call(name, {}, TAIL), start.answer);
      await applyAndWait(working(name));
      await eventually("the mended function works", async () => ((await call(name, {})).functionError ? undefined : true));
      await works(name);
    });
  }

  if (!row.small) {
    cell("init > 10 s", async () => {
      const answer = await slowAnswer;
      // Ended after 10 s, started again by the event, within the event's own limit.
      expect(JSON.parse(answer?.text ?? "")).toEqual(["begun", "begun", "done"]);
      expect(answer?.functionError).toBeUndefined();
      expect(answer?.log).toMatch(/^INIT_REPORT Init Duration: 1\d{4}\.\d{2} ms\tPhase: init\tStatus: timeout$/m);
      expect(await value(slowName, { kind: "starts" })).toEqual(["begun", "begun", "done"]);
    });
  }
});
