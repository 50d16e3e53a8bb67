/** The real agent with AWS's real runtime clients for Node.js, against a gateway that speaks the protocol. */
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Assignment } from "../../operator/src/api/environment-protocol.ts";
import { type AgentProcess, startAgent } from "../agent/testing/agent-process.ts";
import { type AgentLink, startTestGateway, type TestGateway } from "../agent/testing/gateway.ts";
import { type NodejsRuntime, nodejsRuntime } from "../agent/testing/nodejs-runtime.ts";
import { assignmentOf, type TestFile, zipOf } from "../agent/testing/packages.ts";

const gateways: TestGateway[] = [];
const agents: AgentProcess[] = [];

afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.stop()));
  await Promise.all(gateways.splice(0).map((gateway) => gateway.kill()));
});

const EXECUTABLE = 0o100755;

describe.each<NodejsRuntime>(["nodejs24.x", "nodejs22.x"])("%s", (runtime) => {
  let runtimeRoot: string;
  beforeAll(async () => {
    runtimeRoot = await nodejsRuntime(runtime);
  }, 600_000);
  afterAll(() => rm(runtimeRoot, { recursive: true, force: true }));

  /** An agent that was told to become this function. */
  async function assigned(files: Record<string, TestFile>, over: Partial<Assignment> = {}) {
    const code = zipOf(files);
    const gateway = await startTestGateway();
    gateways.push(gateway);
    gateway.packages.set(code.sha256, code.bytes);
    const agent = await startAgent({ runtimeRoot, gatewayPort: gateway.port, env: { KAPPA_RUNTIME: runtime } });
    agents.push(agent);
    const link = await gateway.agent();
    const outcome = await link.assign(assignmentOf(code, { handler: "index.handler", memorySize: 256, ...over }));
    return { agent, link, ...outcome };
  }

  /** The same for a function that starts. */
  async function running(
    files: Record<string, TestFile>,
    over: Partial<Assignment> = {},
  ): Promise<{ agent: AgentProcess; link: AgentLink }> {
    const { agent, link, assigned: done, failed, body } = await assigned(files, over);
    if (!done) throw new Error(`not assigned: ${JSON.stringify(failed)} ${body}\n${agent.stdout}\n${agent.stderr}`);
    return { agent, link };
  }

  /** What the first event of a function that does not start is answered with. */
  async function initError(files: Record<string, TestFile>, over: Partial<Assignment> = {}) {
    const { link } = await assigned(files, over);
    const { result, json } = await link.invoke({});
    expect(result.functionError).toBe("Unhandled");
    const error = json as { errorType: string; errorMessage: string; trace?: string[] };
    expect(error.errorType).toBe(result.errorType);
    return error;
  }

  test("the runtime's folder has code, data and the licence of every package, and nothing else", async () => {
    const names = await readdir(join(runtimeRoot, "node_modules"), { recursive: true });
    const files = (await readdir(runtimeRoot)).concat(names);
    expect(files.filter((name) => /\.(ts|md|map|gyp|cc|tgz)$|(^|\/)(dist-types|deps|tests?|\.bin)(\/|$)/.test(name))).toEqual([]);
    const licences = await readFile(join(runtimeRoot, "THIRD-PARTY-LICENSES.txt"), "utf8");
    for (const name of ["aws-lambda-ric", "@aws-sdk/client-s3", "@smithy/core", "tslib"]) expect(licences).toContain(`\n${name} `);
    expect(licences).toContain("Apache License");
  });

  const ECHO = "exports.handler = async (event) => event;\n";

  describe("a handler", () => {
    test.each<[string, Record<string, string>]>([
      ["as a CommonJS module", { "index.js": ECHO }],
      ["in a .cjs file", { "index.cjs": ECHO }],
      [
        "as an ES module that awaits at its top level",
        { "index.mjs": "const e = await 1;\nexport const handler = async (event) => event;" },
      ],
      [
        "as an ES module by package.json",
        { "package.json": '{"type":"module"}', "index.js": "export const handler = async (event) => event;" },
      ],
    ])("%s gets the event and answers", async (_kind, files) => {
      const { link } = await running(files);
      const event = { text: "ä", numbers: [1, 2.5], nothing: null };
      expect(await link.invoke(event)).toMatchObject({ json: event, result: { reusable: true } });
    });

    test("in a folder, nested in an object, is found by its name", async () => {
      const { link } = await running({ "src/app.js": "exports.api = { get: async () => 'got' };" }, { handler: "src/app.api.get" });
      expect((await link.invoke({})).json).toBe("got");
    });

    test("has Lambda's context", async () => {
      const source = `exports.handler = async (event, context) => ({
        ...context, left: context.getRemainingTimeInMillis(), trace: process.env._X_AMZN_TRACE_ID, cwd: process.cwd() });`;
      const { agent, link } = await running({ "index.js": source });
      const { json } = await link.invoke({}, { traceId: "Root=1-2-3", clientContext: '{"custom":{"a":"b"}}' });
      const context = json as Record<string, unknown>;
      expect(context).toMatchObject({
        functionName: "f",
        functionVersion: "$LATEST",
        memoryLimitInMB: "256",
        logGroupName: "/aws/lambda/f",
        invokedFunctionArn: "arn:aws:lambda:us-east-1:000000000001:function:f",
        clientContext: { custom: { a: "b" } },
        trace: "Root=1-2-3",
        cwd: agent.taskRoot,
      });
      expect(context.left).toBeGreaterThan(0);
    });

    test("answers a thousand events in one process", async () => {
      const { link } = await running({ "index.js": "let n = 0; exports.handler = async (event) => ({ n: ++n, event });" });
      for (let n = 1; n <= 1_000; n++) expect((await link.invoke(n)).json).toEqual({ n, event: n });
    });
  });

  describe("modules", () => {
    const SDK = ["lambda", "s3", "dynamodb", "sqs", "sns", "sts", "secrets-manager", "ssm", "eventbridge", "kinesis", "cloudwatch-logs"];
    const ALL = [...SDK.map((name) => `client-${name}`), "lib-dynamodb", "util-dynamodb", "s3-request-presigner"].map(
      (name) => `@aws-sdk/${name}`,
    );

    test("of the AWS SDK can be required and imported without being in the package", async () => {
      const names = JSON.stringify(ALL);
      const required = `const all = ${names}.map((name) => Object.keys(require(name)).length); exports.handler = async () => all;`;
      const { link } = await running({ "index.js": required });
      const { json } = await link.invoke({});
      expect(json).toHaveLength(ALL.length);
      for (const count of json as number[]) expect(count).toBeGreaterThan(0);

      const imported = `import { S3Client } from "@aws-sdk/client-s3";
        const all = await Promise.all(${names}.map((name) => import(name)));
        export const handler = async () => [all.length, await new S3Client({}).config.region()];`;
      const esm = await running({ "index.mjs": imported });
      expect((await esm.link.invoke({})).json).toEqual([ALL.length, "us-east-1"]);
    });

    test("of the package come before those of the runtime", async () => {
      const own = {
        "node_modules/@aws-sdk/client-s3/package.json": '{"main":"m.js"}',
        "node_modules/@aws-sdk/client-s3/m.js": "exports.own = 1;",
      };
      const cjs = await running({ ...own, "index.js": "const m = require('@aws-sdk/client-s3'); exports.handler = async () => m;" });
      expect((await cjs.link.invoke({})).json).toEqual({ own: 1 });
      const esm = await running({ ...own, "index.mjs": "import m from '@aws-sdk/client-s3'; export const handler = async () => m;" });
      expect((await esm.link.invoke({})).json).toEqual({ own: 1 });
    });

    test("in any folder of NODE_PATH can be imported, by their package's own rules, in worker threads too", async () => {
      const files = {
        "libraries/node_modules/modern/package.json": '{"type":"module","exports":{"import":"./m.js"}}',
        "libraries/node_modules/modern/m.js": "export default 'modern';",
        "shared/plain.js": "module.exports = 'plain';",
        "worker.mjs": "import m from 'modern'; import { parentPort } from 'node:worker_threads'; parentPort.postMessage(m);",
        "index.mjs": `import modern from "modern"; import plain from "plain"; import { Worker } from "node:worker_threads";
          const fromWorker = await new Promise((resolve) => new Worker(new URL("worker.mjs", import.meta.url)).once("message", resolve));
          const missing = await import("absent").catch((error) => [error.code, error.message.includes("absent")]);
          export const handler = async () => [modern, plain, fromWorker, missing];`,
      };
      // Relative: the working directory is the function's folder.
      const { link } = await running(files, { environment: { NODE_PATH: "libraries/node_modules:shared" } });
      expect((await link.invoke({})).json).toEqual(["modern", "plain", "modern", ["ERR_MODULE_NOT_FOUND", true]]);
    });
  });

  describe("a failure", () => {
    /** Every frame of a trace is the function's, Node's or the runtime's. */
    function expectCleanTrace(trace: readonly string[] | undefined, agent: AgentProcess): void {
      const frames = (trace ?? []).filter((line) => line.startsWith("    at "));
      expect(frames.length).toBeGreaterThan(0);
      expect(frames[0]).toContain(agent.taskRoot);
      for (const frame of frames.filter((line) => /[/(:]/.test(line) && !/node:internal|<anonymous>$/.test(line)))
        expect(
          [agent.taskRoot, runtimeRoot].some((folder) => frame.includes(folder)),
          frame,
        ).toBe(true);
    }

    test("of a handler has its type, message and trace", async () => {
      const source = "class Refused extends Error { name = 'Refused'; }\nexports.handler = async () => { throw new Refused('no'); };";
      const { agent, link } = await running({ "index.js": source });
      const { result, json } = await link.invoke({});
      expect(result).toMatchObject({ functionError: "Unhandled", reusable: true });
      const error = json as { errorType: string; errorMessage: string; trace: string[] };
      expect(error).toMatchObject({ errorType: "Refused", errorMessage: "no" });
      expectCleanTrace(error.trace, agent);
      expect((await link.invoke({})).json).toMatchObject({ errorType: "Refused" });
    });

    test("of a handler that throws no Error is its text", async () => {
      const { link } = await running({ "index.js": "exports.handler = async () => { throw 'text'; };" });
      expect((await link.invoke({})).json).toEqual({ errorType: "string", errorMessage: "text", trace: [] });
    });

    test("to turn the answer into JSON is an error of the function", async () => {
      const { link } = await running({ "index.js": "exports.handler = async () => { const loop = {}; loop.loop = loop; return loop; };" });
      expect((await link.invoke({})).result.functionError).toBe("Unhandled");
    });

    test.each<[string, Record<string, string>, string, RegExp]>([
      ["a package without the handler's module", { "other.js": ECHO }, "Runtime.ImportModuleError", /Cannot find module 'index'/],
      ["a missing import", { "index.js": "require('absent');" }, "Runtime.ImportModuleError", /Cannot find module 'absent'/],
      ["a syntax error", { "index.js": "exports.handler = async () => {" }, "Runtime.UserCodeSyntaxError", /Unexpected end of input/],
      ["a syntax error in an ES module", { "index.mjs": "export const handler = ;" }, "Runtime.UserCodeSyntaxError", /Unexpected token/],
      [
        "a module without the handler",
        { "index.js": "exports.other = 1;" },
        "Runtime.HandlerNotFound",
        /index\.handler is undefined or not exported/,
      ],
      [
        "a handler that is no function",
        { "index.js": "exports.handler = 1;" },
        "Runtime.HandlerNotFound",
        /index\.handler is not a function/,
      ],
      ["an error while the module loads", { "index.js": "throw new TypeError('at start');" }, "TypeError", /^at start$/],
      ["an import that an ES module misses", { "index.mjs": "import 'absent';" }, "Error", /Cannot find package 'absent' imported from/],
    ])("to start because of %s has Lambda's type", async (_why, files, errorType, message) => {
      const error = await initError(files);
      expect(error.errorType).toBe(errorType);
      expect(error.errorMessage).toMatch(message);
    });

    test("to start because of a malformed handler has Lambda's type", async () => {
      const error = await initError({ "index.js": ECHO }, { handler: "index" });
      expect(error).toMatchObject({ errorType: "Runtime.MalformedHandlerName", errorMessage: "Bad handler" });
    });

    test.each([
      ["an unhandled rejection", "exports.handler = async () => { Promise.reject(new Error('lost')); await new Promise(() => {}); };"],
      [
        "an exception outside the handler",
        "exports.handler = async () => { setTimeout(() => { throw new Error('lost'); }); await new Promise(() => {}); };",
      ],
      ["its end", "exports.handler = async () => process.exit(3);"],
    ])("of the process by %s fails the event, and the next one has a new process", async (why, source) => {
      const { agent, link } = await running({
        "index.js": `let n = 0; const h = {}; ${source.replace("exports.", "h.")}
        exports.handler = async (event) => event.fail ? h.handler() : ++n;`,
      });
      expect((await link.invoke({})).json).toBe(1);
      const { result, json } = await link.invoke({ fail: true });
      expect(result).toMatchObject({ functionError: "Unhandled", reusable: true });
      const { errorType, errorMessage } = json as { errorType: string; errorMessage: string };
      if (runtime === "nodejs22.x" && why === "an unhandled rejection") {
        expect(errorType).toBe("Runtime.UnhandledPromiseRejection");
        expect(errorMessage).toBe("Error: lost");
      } else if (runtime === "nodejs22.x" && why !== "its end") {
        expect({ errorType, errorMessage }).toEqual({ errorType: "Error", errorMessage: "lost" });
      } else {
        // Version 4 of the client has no handlers for these: the process ends as any Node process does.
        const status = why === "its end" ? 3 : 1;
        expect(errorType).toBe("Runtime.ExitError");
        expect(errorMessage).toMatch(new RegExp(`Runtime exited with error: exit status ${status}$`));
      }
      if (why !== "its end") await agent.output("lost");
      expect((await link.invoke({})).json).toBe(1);
    });
  });

  describe("a streamed response", () => {
    const streaming = (body: string): Record<string, string> => ({
      "index.mjs": `import { pipeline } from "node:stream/promises"; import { Readable } from "node:stream";
        const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
        export const handler = awslambda.streamifyResponse(async (event, stream, context) => { ${body} });`,
    });

    test("arrives in parts, as it is written", async () => {
      const { link } = await running(
        streaming(
          "stream.setContentType('text/plain'); for (const n of [1, 2, 3]) { stream.write('part ' + n + ';'); await later(30); } stream.end();",
        ),
      );
      for (let n = 0; n < 3; n++) {
        const { streamed, chunks, contentType, result } = await link.streamed(link.offer("{}"));
        expect(streamed.toString()).toBe("part 1;part 2;part 3;");
        expect(chunks.length).toBeGreaterThan(1);
        expect(contentType).toBe("text/plain");
        expect(result).toMatchObject({ streamed: true, reusable: true });
        expect(result.functionError).toBeUndefined();
      }
    });

    test("has its status and headers before its body", async () => {
      const prelude = { statusCode: 201, headers: { "x-a": "b" } };
      const { link } = await running(
        streaming(`const out = awslambda.HttpResponseStream.from(stream, ${JSON.stringify(prelude)}); out.write("body"); out.end();`),
      );
      const { streamed, contentType } = await link.streamed(link.offer("{}"));
      expect(streamed.toString()).toBe(`${JSON.stringify(prelude)}${"\0".repeat(8)}body`);
      expect(contentType).toBe("application/vnd.awslambda.http-integration-response");
    });

    test("of 20 MB comes through whole", async () => {
      const { link } = await running(
        streaming(
          "await pipeline(Readable.from((function* () { for (let n = 0; n < 320; n++) yield Buffer.alloc(65536, n); })()), stream);",
        ),
        { timeout: 60 },
      );
      const { streamed } = await link.streamed(link.offer("{}"));
      expect(streamed.length).toBe(320 * 65_536);
      for (let n = 0; n < 320; n++) expect(streamed[n * 65_536 + 1]).toBe(n % 256);
    });

    test("that an error ends early has the part before it and the error", async () => {
      const { link } = await running(streaming("stream.write('before;'); await later(30); throw new RangeError('too late');"));
      const { streamed, result, json } = await link.streamed(link.offer("{}"));
      expect(streamed.toString()).toBe("before;");
      expect(result).toMatchObject({ functionError: "Unhandled", errorType: "RangeError", streamed: true });
      expect(json).toMatchObject({ errorType: "RangeError", errorMessage: "too late" });
    });
  });

  describe("logs", () => {
    test("carry the request's id and level, as text or as JSON", async () => {
      const source =
        "exports.handler = async () => { console.log('hello %s', 'you'); console.error(new Error('bad')); console.debug({ a: 1 }); };";
      const text = await running({ "index.js": source });
      const { result } = await text.link.invoke({}, { logTail: true });
      const tail = Buffer.from(result.logTail ?? "", "base64").toString();
      expect(tail).toMatch(new RegExp(`^[0-9TZ:.-]+\\t${result.requestId}\\tINFO\\thello you$`, "m"));
      expect(tail).toMatch(new RegExp(`\\t${result.requestId}\\tERROR\\tError: bad`));

      const json = await running({ "index.js": source }, { logging: { format: "JSON", group: "g", stream: "s" } });
      const requestId = json.link.offer("{}");
      await json.link.outcome(requestId);
      const lines = (await json.agent.output('"bad"')).split("\\n").flatMap((block) => block.split("\n"));
      const records = lines
        .filter((line) => line.startsWith("{") && line.includes(requestId))
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(records).toContainEqual(expect.objectContaining({ level: "INFO", requestId, message: "hello you" }));
      expect(records).toContainEqual(
        expect.objectContaining({ level: "ERROR", message: expect.objectContaining({ errorType: "Error", errorMessage: "bad" }) }),
      );
    });
  });

  describe("the process", () => {
    const HEAP = `const { heap_size_limit } = require("node:v8").getHeapStatistics();
      exports.handler = async () => ({ heapMb: heap_size_limit / 2 ** 20, arguments: process.execArgv, versions: process.versions.node, gc: typeof gc });`;
    type Heap = { heapMb: number; arguments: string[]; versions: string; gc: string };

    test("is this version of Node, with a heap for the function's memory", async () => {
      for (const memorySize of [128, 1024]) {
        const { json } = await (await running({ "index.js": HEAP }, { memorySize })).link.invoke({});
        const heap = json as Heap;
        expect(`nodejs${heap.versions.split(".")[0]}.x`).toBe(runtime);
        expect(heap.gc).toBe("function");
        const young = Math.floor(memorySize / 10);
        expect(heap.arguments).toContain(`--max-old-space-size=${memorySize - young}`);
        expect(heap.arguments).toContain(`--max-semi-space-size=${Math.floor(young / 2)}`);
        // Old generation and three semi-spaces.
        expect(heap.heapMb).toBeGreaterThanOrEqual(memorySize * 0.9 - 1);
        expect(heap.heapMb).toBeLessThan(memorySize * 1.3);
      }
    });

    test("has the heap that NODE_OPTIONS asks for", async () => {
      const heapOf = async (megabytes: number): Promise<Heap> => {
        const { link } = await running({ "index.js": HEAP }, { environment: { NODE_OPTIONS: `--max-old-space-size=${megabytes}` } });
        return (await link.invoke({})).json as Heap;
      };
      const [small, large] = [await heapOf(64), await heapOf(164)];
      expect(large.heapMb - small.heapMb).toBe(100);
      expect(large.arguments.join(" ")).not.toContain("space-size");
    });

    test("has the function's variables as they are, whatever those of its start-up file are called", async () => {
      const names = ["runtime", "major", "young", "feature", "entry", "wrapper"];
      const environment = Object.fromEntries(names.map((name) => [name, `own ${name}`]));
      const { link } = await running({ "index.js": "exports.handler = async () => process.env;" }, { environment });
      expect((await link.invoke({})).json).toMatchObject(environment);
    });

    test("is started by the wrapper script", async () => {
      const { agent, link } = await running(
        {
          "wrap.sh": { content: '#!/bin/sh\nexport WRAPPED="$#"\nexec "$@" --wrapped\n', mode: EXECUTABLE },
          "index.js": "exports.handler = async () => [process.env.WRAPPED > 0, process.argv.at(-1)];",
        },
        { environment: { AWS_LAMBDA_EXEC_WRAPPER: "./wrap.sh" } },
      );
      expect((await link.invoke({})).json).toEqual([true, "--wrapped"]);
      expect(agent.stdout).not.toContain("does not exist");
    });

    test("that has no wrapper script where one is named does not start, and the log says why", async () => {
      const { agent, link } = await assigned({ "index.js": ECHO }, { environment: { AWS_LAMBDA_EXEC_WRAPPER: "/opt/absent" } });
      const { result, json } = await link.invoke({});
      expect(json).toEqual({
        errorType: "Runtime.ExitError",
        errorMessage: `RequestId: ${result.requestId} Error: Runtime exited with error: exit status 127`,
      });
      await agent.output("/opt/absent: does not exist");
    });
  });

  const CALLBACK = "exports.handler = (event, context, callback) => { setTimeout(() => callback(null, event), 1); };";

  test.runIf(runtime === "nodejs22.x")("handlers with a callback work", async () => {
    const { link } = await running({ "index.js": CALLBACK });
    expect((await link.invoke({ a: 1 })).json).toEqual({ a: 1 });
    const failing = await running({ "index.js": "exports.handler = (event, context, callback) => callback(new TypeError('no'));" });
    expect((await failing.link.invoke({})).json).toMatchObject({ errorType: "TypeError", errorMessage: "no" });
  });

  test.runIf(runtime === "nodejs24.x")("handlers with a callback are refused with Lambda's explanation", async () => {
    const error = await initError({ "index.js": CALLBACK });
    expect(error.errorType).toBe("Runtime.CallbackHandlerDeprecated");
    expect(error.errorMessage).toContain("starting with Node.js 24");
  });

  test.runIf(runtime === "nodejs22.x")("experimental module features are off unless NODE_OPTIONS turns them on", async () => {
    const files = {
      "esm.mjs": "export default 1;",
      "index.js": "const m = require('./esm.mjs'); exports.handler = async () => m.default;",
    };
    expect((await initError(files)).errorMessage).toContain("require() of ES Module");
    const { link } = await running(files, { environment: { NODE_OPTIONS: "--experimental-require-module" } });
    expect((await link.invoke({})).json).toBe(1);
  });
});
