/** Responses that a Node.js function streams, read by AWS's clients as they come. */
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { InvokeWithResponseStreamCommand, type InvokeWithResponseStreamCompleteEvent } from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apply, applyAndWait, deleteFunctions, FULL, must, pythonFunction, pythonTools } from "../../support/cluster.ts";
import { lambdaClient } from "../../support/lambda.ts";
import { filesCode, lambdaFunction } from "../support/functions.ts";
import { filesBelow } from "../support/zip.ts";
import { invokeRaw, newFolder, programFolder, removeFolder } from "./program.ts";
import { mayInvoke, removeRoles } from "./roles.ts";

const RUNTIMES = ["nodejs22.x", "nodejs24.x"] as const;
const ROLE = "e2e-programs-streamer";
const folder = newFolder();
const client = lambdaClient(1);
let bin = "";

const nameOf = (runtime: string) => `e2e-programs-stream-${runtime.replace(".x", "")}`;
/** What a stream waits for after its first part: a function that is made when that part has arrived. Were parts kept back, it would time out. */
const gateOf = (runtime: string, reader: string) => `${nameOf(runtime)}-gate-${reader}`;
const gate = (name: string) => pythonFunction(name, "def handler(event, context):\n    return 'open'\n");
const gates = RUNTIMES.flatMap((runtime) => [gateOf(runtime, "js"), gateOf(runtime, "boto3")]);

/** Megabytes of the long stream: ten times what the gateway lets an agent send ahead, or Lambda's limit. */
const LONG = (FULL ? 200 : 20) * 1024 * 1024;

interface Stream {
  parts: Buffer[];
  complete: InvokeWithResponseStreamCompleteEvent | undefined;
}

/** Reads a function's stream with the SDK for JavaScript; `onFirst` is awaited between the first part and the next. */
async function streamOf(name: string, event: object, onFirst?: () => Promise<unknown>): Promise<Stream> {
  const output = await client.send(new InvokeWithResponseStreamCommand({ FunctionName: name, Payload: JSON.stringify(event) }));
  const stream: Stream = { parts: [], complete: undefined };
  for await (const part of output.EventStream ?? []) {
    if (part.PayloadChunk?.Payload) stream.parts.push(Buffer.from(part.PayloadChunk.Payload));
    if (part.InvokeComplete) stream.complete = part.InvokeComplete;
    if (stream.parts.length === 1 && onFirst) {
      await onFirst();
      onFirst = undefined;
    }
  }
  return stream;
}

const textOf = ({ parts }: Stream) => Buffer.concat(parts).toString();

/** The same with boto3; `command` runs after the first part. */
async function boto3StreamOf(name: string, event: object, command: string[] = []): Promise<{ parts: string[]; complete: unknown }> {
  const args = [programFolder("read_stream.py"), name, JSON.stringify(event), ...command];
  const lines: { part?: string; complete?: unknown }[] = (await must(join(bin, "python"), args))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { parts: lines.flatMap(({ part }) => part ?? []), complete: lines.at(-1)?.complete };
}

beforeAll(async () => {
  bin = pythonTools();
  await apply(...mayInvoke(ROLE, gates));
  const code = filesCode(await filesBelow(programFolder("node-streaming")));
  await applyAndWait(
    ...RUNTIMES.map((runtime) =>
      lambdaFunction(nameOf(runtime), runtime, "index.handler", code, { role: ROLE, memorySize: 256, timeout: FULL ? 600 : 60 }),
    ),
  );
});
afterAll(async () => {
  removeFolder(folder);
  await deleteFunctions(...RUNTIMES.map(nameOf), ...gates);
  await removeRoles(ROLE);
});

describe.each(RUNTIMES)("%s", (runtime) => {
  const name = nameOf(runtime);

  test("the SDK for JavaScript has the first part while the function still runs", async () => {
    const opens = gateOf(runtime, "js");
    const stream = await streamOf(name, { kind: "wait", gate: opens }, () => applyAndWait(gate(opens)));
    expect(stream.parts[0]?.toString()).toBe("first,");
    expect(textOf(stream)).toBe('first,"open",last');
    expect(stream.complete).toBeDefined();
    expect(stream.complete?.ErrorCode).toBeUndefined();
  });

  test("boto3 has the first part while the function still runs", async () => {
    const opens = gateOf(runtime, "boto3");
    const file = join(folder, `${opens}.json`);
    writeFileSync(file, JSON.stringify(gate(opens)));
    const { parts, complete } = await boto3StreamOf(name, { kind: "wait", gate: opens }, ["kubectl", "apply", "-f", file]);
    expect(parts[0]).toBe("first,");
    expect(parts.join("")).toBe('first,"open",last');
    expect(complete).toEqual({});
  });

  test("parts arrive whole and in order, whatever their characters", async () => {
    const parts = ["eins ", "zwei ", "drü ", "fünf ", "霧☀️"];
    expect(textOf(await streamOf(name, { kind: "parts", parts }))).toBe(parts.join(""));
  });

  test("an error after the first part ends the stream with the error's type and message, for both clients", async () => {
    const stream = await streamOf(name, { kind: "fails late" });
    expect(textOf(stream)).toBe("so far so good");
    expect(stream.complete?.ErrorCode).toBe("Unhandled");
    expect(JSON.parse(stream.complete?.ErrorDetails ?? "{}")).toMatchObject({ errorType: "RangeError", errorMessage: "the well ran dry" });
    const { parts, complete } = await boto3StreamOf(name, { kind: "fails late" });
    expect(parts.join("")).toBe("so far so good");
    expect(complete).toMatchObject({ ErrorCode: "Unhandled" });
  });

  test("an error before the first part is told in the same way, and the next stream is whole", async () => {
    const stream = await streamOf(name, { kind: "unknown" });
    expect(textOf(stream)).toBe("");
    expect(stream.complete?.ErrorCode).toBe("Unhandled");
    expect(JSON.parse(stream.complete?.ErrorDetails ?? "{}")).toMatchObject({
      errorType: "TypeError",
      errorMessage: "no such kind: unknown",
    });
    expect(textOf(await streamOf(name, { kind: "parts", parts: ["fine"] }))).toBe("fine");
  });

  test("an HTTP answer carries its status and headers before eight zero bytes", async () => {
    const text = textOf(await streamOf(name, { kind: "http" }));
    const end = text.indexOf("\0".repeat(8));
    expect(JSON.parse(text.slice(0, end))).toEqual({ statusCode: 201, headers: { "content-type": "text/plain" } });
    expect(text.slice(end + 8)).toBe("created");
  });

  test(`${LONG / 1024 ** 2} MiB arrive as the same code makes them here, and in more than one part`, async () => {
    const script =
      "import(process.argv[1]).then(({ pattern }) => { const hash = require('crypto').createHash('sha256'); for (const piece of pattern(Number(process.argv[2]))) hash.update(piece); console.log(hash.digest('hex')); })";
    const here = await must(process.execPath, ["-e", script, programFolder("node-streaming/pattern.js"), String(LONG)]);
    const { parts, complete } = await streamOf(name, { kind: "large", length: LONG });
    expect(complete?.ErrorCode).toBeUndefined();
    const hash = createHash("sha256");
    for (const part of parts) hash.update(part);
    expect(parts.reduce((sum, part) => sum + part.length, 0)).toBe(LONG);
    expect(hash.digest("hex")).toBe(here.trim());
    expect(parts.length).toBeGreaterThan(1);
  });

  test("a plain invocation gets the whole stream at the end, up to 6 MB", async () => {
    const answer = await invokeRaw(client, name, JSON.stringify({ kind: "parts", parts: ['{"a":', "1}"] }));
    expect(answer).toMatchObject({ functionError: undefined, text: '{"a":1}' });
    const tooLarge = await invokeRaw(client, name, JSON.stringify({ kind: "large", length: 7 * 1024 * 1024 }));
    expect(tooLarge.functionError).toBe("Unhandled");
    expect(JSON.parse(tooLarge.text)).toMatchObject({ errorType: "Function.ResponseSizeTooLarge" });
  });
});
