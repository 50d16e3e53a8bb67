/** A function that a zygote becomes finds what it would find in a fresh start. */
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type NodejsRuntime, nodejsRuntime } from "../agent/testing/nodejs-runtime.ts";
import { RuntimeStart, type StartOptions, WAYS, type Way } from "../agent/testing/runtime-start.ts";

/** Before anything is required; `module` objects and functions are compared by their text. */
const INTROSPECTION = `
const atImport = {
  cache: Object.keys(require.cache).sort(),
  parents: Object.values(require.cache).map((m) => [m.id, m.loaded, m.children.map((c) => c.id)]),
  globals: Reflect.ownKeys(globalThis).map(String),
  awslambda: Object.keys(globalThis.awslambda ?? {}),
  handles: process.getActiveResourcesInfo(),
  stack: new Error().stack.split("\\n").slice(1),
};
const child = require("node:child_process"), fs = require("node:fs"), os = require("node:os"), Module = require("node:module");
const { Worker } = require("node:worker_threads");

function descriptors() {
  const found = {};
  for (const name of fs.readdirSync("/proc/self/fd")) {
    try {
      found[name] = fs.readlinkSync("/proc/self/fd/" + name).replace(/\\d+/g, "N");
    } catch {}
  }
  // Node's own are opened in another order when modules are loaded earlier.
  return { standard: [found[0], found[1], found[2]], others: Object.values(found).sort(), free: !("3" in found) };
}
const status = (...names) => fs.readFileSync("/proc/self/status", "utf8").split("\\n").filter((line) => names.includes(line.split(":")[0]));
const limits = () => fs.readFileSync("/proc/self/limits", "utf8");
const view = "({ argv: process.argv, execArgv: process.execArgv, environment: process.env, cache: Object.keys(require.cache) })";

exports.handler = async (event, context) => ({
  ...atImport,
  argv: process.argv, execArgv: process.execArgv, argv0: process.argv0, execPath: process.execPath, title: process.title,
  mainModule: String(require.main),
  environment: process.env,
  environmentIsNative: [Object.keys(process.env).includes("toString"), Object.prototype.toString.call(process.env), require("node:util").types.isProxy(process.env)],
  environmentProperty: Object.entries(Object.getOwnPropertyDescriptor(process, "env")).filter(([name]) => name !== "value"),
  sameEnvironment: (await import("node:process")).env === process.env,
  childEnvironment: child.execFileSync("/usr/bin/env").toString().split("\\n").sort(),
  workingDirectory: process.cwd(),
  descriptors: descriptors(),
  status: status("SigBlk", "SigIgn", "SigCgt", "Umask", "Threads"), limits: limits(), priority: os.getPriority(),
  listeners: process.eventNames().map((name) => [String(name), process.listeners(name).map(String)]),
  processKeys: Object.getOwnPropertyNames(process).sort(),
  console: Object.entries(console).map(([name, value]) => [name, String(value)]),
  paths: [module.paths, Module.globalPaths, require.resolve.paths("a")],
  resolved: ["@aws-sdk/client-s3", "@aws-sdk/client-lambda"].map((name) => require.resolve(name)),
  extensions: Object.keys(Module._extensions),
  heapLimit: require("node:v8").getHeapStatistics().heap_size_limit,
  collector: typeof gc, stackTraceLimit: Error.stackTraceLimit,
  timeZone: [Intl.DateTimeFormat().resolvedOptions(), new Date(0).toString()],
  homedir: os.homedir(), umask: process.umask(),
  stackOfHandler: new Error().stack.split("\\n").slice(1),
  context: { ...context, awsRequestId: "", getRemainingTimeInMillis: typeof context.getRemainingTimeInMillis },
  worker: await new Promise((resolve, reject) => new Worker("require('node:worker_threads').parentPort.postMessage(" + view + ")", { eval: true })
    .once("message", resolve).once("error", reject)),
  forked: await new Promise((resolve) => child.fork(__dirname + "/forked.js").once("message", resolve)),
});
`;
const FORKED = `process.send({ argv: process.argv, execArgv: process.execArgv, environment: process.env, cache: Object.keys(require.cache) });
process.disconnect();`;

describe.each<NodejsRuntime>(["nodejs24.x", "nodejs22.x"])("%s", (runtime) => {
  let runtimeRoot: string;
  let start: RuntimeStart;
  beforeAll(async () => {
    runtimeRoot = await nodejsRuntime(runtime);
    start = await RuntimeStart.create();
  }, 600_000);
  afterAll(async () => {
    await start?.close();
    await rm(runtimeRoot, { recursive: true, force: true });
  });

  function options(files: Record<string, string>, over: Partial<StartOptions> = {}): StartOptions {
    return { runtime, runtimeRoot, files, ...over, assignment: { handler: "index.handler", ...over.assignment } };
  }

  /** What the handler of these files answers when its runtime came that way. */
  async function answer(way: Way, files: Record<string, string>, over: Partial<StartOptions> = {}): Promise<unknown> {
    await start.become(way, options(files, over));
    return await start.invoke();
  }

  test("what a function can observe is as in a fresh start", async () => {
    const assignment = { environment: { OWN: "value", PATH: "/own:/usr/bin:/bin" } };
    const files = { "index.js": INTROSPECTION, "forked.js": FORKED };
    const fresh = (await answer("bootstrap", files, { assignment })) as Record<string, unknown>;
    const become = (await answer("zygote", files, { assignment })) as Record<string, unknown>;
    expect(fresh.errorMessage).toBeUndefined();
    for (const what of Object.keys(fresh)) expect(become[what], what).toEqual(fresh[what]);
    expect(Object.keys(become)).toEqual(Object.keys(fresh));
    expect(fresh.environment).toMatchObject({ OWN: "value", PWD: start.taskRoot });
  });

  test("what an ES module can observe is as in a fresh start", async () => {
    const source = `const atImport = [Reflect.ownKeys(globalThis).map(String), new Error().stack.split("\\n").slice(1)];
      import process, { argv, env } from "node:process"; import { createRequire } from "node:module"; import S3 from "@aws-sdk/client-s3";
      const require = createRequire(import.meta.url);
      export const handler = async () => ({ atImport, argv, env, same: env === process.env, url: import.meta.url, dirname: import.meta.dirname,
        resolved: import.meta.resolve("@aws-sdk/client-s3"), sdk: Object.keys(S3).length, cached: Object.keys(require.cache).length });`;
    const [fresh, become] = [await answer("bootstrap", { "index.mjs": source }), await answer("zygote", { "index.mjs": source })];
    expect(become).toEqual(fresh);
    expect(fresh).toMatchObject({ same: true });
  });

  describe("what the client's environment says about the log holds", () => {
    const source = `exports.handler = async () => { console.debug("finest"); console.info("fine %s", "text"); console.error(new Error("bad"));
      process.stdout.write("plain\\n"); throw new RangeError("last"); };`;
    test.each([
      { format: "Text" } as const,
      { format: "JSON" } as const,
      { format: "JSON", applicationLevel: "DEBUG" } as const,
      { format: "JSON", applicationLevel: "ERROR" } as const,
    ])("%o", async (logging) => {
      const outputs: string[] = [];
      for (const way of WAYS) {
        const error = await answer(way, { "index.js": source }, { assignment: { logging: { ...logging, group: "g", stream: "s" } } });
        expect(error).toMatchObject({ errorType: "RangeError", errorMessage: "last" });
        await start.idle();
        outputs.push((await start.output()).replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME").replaceAll(/[\da-f]{8}-[\da-f-]{27}/g, "ID"));
      }
      expect(outputs[0]).toContain("bad");
      expect(outputs[1]).toBe(outputs[0]);
    });
  });

  test("a function that does not start says the same", async () => {
    for (const source of ["require('absent')", "throw new TypeError('at start')", "exports.other = 1", "exports.handler = {"]) {
      const errors: unknown[] = [];
      for (const way of WAYS) errors.push(await answer(way, { "index.js": source }).catch((error: Error) => error.message));
      expect(errors[0]).toMatch(/^init error /);
      expect(errors[1]).toBe(errors[0]);
    }
  });

  test("no two have the same random numbers", async () => {
    const source = `const crypto = require("node:crypto");
      exports.handler = async () => [Math.random(), crypto.randomUUID(), crypto.randomBytes(8).toString("hex"), crypto.randomInt(2 ** 47),
        crypto.getRandomValues(new Uint32Array(2)).join()];`;
    const drawn: unknown[] = [];
    for (let times = 0; times < 2; times++) drawn.push(...((await answer("zygote", { "index.js": source })) as unknown[]));
    expect(new Set(drawn).size).toBe(drawn.length);
  });

  describe("a variable that has to be there from the start makes it start again", () => {
    const source = `const started = Object.fromEntries(require("node:fs").readFileSync("/proc/self/environ", "utf8").split("\\0").map((entry) => entry.split("=")));
      exports.handler = async () => ({ started, globals: Object.keys(globalThis), paths: require("node:module").globalPaths, env: process.env,
        heap: require("node:v8").getHeapStatistics().heap_size_limit, argv: process.argv });`;
    test.each([
      ["HOME", { assignment: { environment: { HOME: "/home/of/its/own" } } }],
      ["AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA", { assignment: { environment: { AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA: "1" } } }],
      ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE", { assignment: { memorySize: 256 }, heapMb: 128 }],
    ])("%s", async (name, over) => {
      const files = { "index.js": source };
      const become = (await answer("zygote", files, over)) as { started: Record<string, string>; env: Record<string, string> };
      expect(become).toEqual(await answer("bootstrap", files, over));
      expect(become.started[name]).toBeDefined();
      expect(become.started[name]).toBe(become.env[name]);
    });
  });

  test("a timer that is set while the function loads runs its whole time, however long the zygote has waited", async () => {
    await start.end();
    await start.zygote(options({}));
    await new Promise((resolve) => setTimeout(resolve, 500));
    const source = `const set = performance.now(); let ran; setTimeout(() => { ran = performance.now(); }, 300);
      exports.handler = async () => { while (ran === undefined) await new Promise(setImmediate); return ran - set; };`;
    await writeFile(join(start.taskRoot, "index.js"), source);
    start.order(options({}));
    expect(await start.invoke()).toBeGreaterThanOrEqual(299);
  });

  test("a zygote that nobody needs any more ends without a word", async () => {
    await start.end();
    const child = await start.zygote(options({}));
    const exit = once(child, "exit");
    (child.stdio[3] as Socket).destroy();
    expect(await exit).toEqual([0, null]);
    expect(await start.output()).toBe("");
  });
});
