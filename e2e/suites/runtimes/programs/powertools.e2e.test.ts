/**
 * Powertools for AWS Lambda: what it logs and measures in an environment is what it prints when the same program runs here, but for
 * times and what belongs to the invocation. Nobody listens to the tracer's daemon: spans are lost, as on Lambda without sampling.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, kubectl, must } from "../../support/cluster.ts";
import { lambdaClient } from "../../support/lambda.ts";
import { codeOf, filesCode, lambdaFunction, type Runtime } from "../support/functions.ts";
import { npmPackage, pipPackage } from "../support/packages.ts";
import { filesBelow } from "../support/zip.ts";
import { invokeRaw, newFolder, programFolder, removeFolder, unpacked } from "./program.ts";

type Json = Record<string, unknown>;

const folder = newFolder();
const client = lambdaClient();
const MEMORY = 512;
const nameOf = (runtime: Runtime) => `e2e-programs-powertools-${runtime.replaceAll(".", "-")}`;
/** As Powertools reads it: a fresh process is a cold start when it was not made ahead of need. */
const ON_DEMAND = "AWS_LAMBDA_INITIALIZATION_TYPE=on-demand";

const order = (id: string) => ({ id, items: ["saw", "nail", "übergroß"].map((article, i) => ({ article, quantity: i + 1, cents: 250 })) });
const post = (id: string) => ({
  version: "2.0",
  routeKey: "$default",
  rawPath: "/orders",
  rawQueryString: "",
  headers: { "content-type": "application/json" },
  requestContext: { requestId: `request-${id}`, stage: "$default", http: { method: "POST", path: "/orders" } },
  body: JSON.stringify(order(id)),
  isBase64Encoded: false,
});

/** The lines of a log that are JSON objects. */
const records = (log: string): Json[] =>
  log
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));

/** Without what differs from one invocation to the next. */
function comparable(record: Json): Json {
  const { timestamp, function_arn, function_request_id, xray_trace_id, _aws, ...rest } = record;
  return _aws === undefined ? rest : { ...rest, metrics: (_aws as Json).CloudWatchMetrics };
}

/** Runs the program here; its answers and records. */
async function here(runtime: Runtime, program: string, events: object[]): Promise<{ answers: unknown[]; printed: Json[] }> {
  const name = nameOf(runtime);
  const python = { function_name: name, memory_limit_in_mb: String(MEMORY), invoked_function_arn: "arn", aws_request_id: "id" };
  const node = { functionName: name, memoryLimitInMB: String(MEMORY), invokedFunctionArn: "arn", awsRequestId: "id" };
  const command = runtime.startsWith("python")
    ? [`PYTHONPATH=${program}`, "python3", programFolder("here.py"), "app", JSON.stringify(python)]
    : [process.execPath, programFolder("here.cjs"), join(program, "orders.js"), JSON.stringify(node)];
  const printed = records(await must("env", [ON_DEMAND, ...command], { input: JSON.stringify(events) }));
  return { answers: printed.flatMap((r) => ("answer" in r ? [r.answer] : [])), printed: printed.filter((r) => !("answer" in r)) };
}

const programs: Partial<Record<Runtime, string>> = {};
const CASES = [
  { runtime: "python3.11", language: "Python", events: [post("o-1"), post("o-2")] },
  { runtime: "nodejs22.x", language: "TypeScript", events: [order("o-1"), order("o-2")] },
  { runtime: "nodejs24.x", language: "TypeScript", events: [order("o-1"), order("o-2")] },
] as const;

/** What a user's build makes of the TypeScript: one file, with the packages that npm vendored. */
async function bundled(): Promise<string> {
  const source = unpacked(await npmPackage(programFolder("typescript-powertools")), folder, "typescript");
  const target = join(folder, "bundle");
  mkdirSync(target);
  const made = await build({
    entryPoints: [join(source, "orders.mts")],
    ...{ bundle: true, platform: "node", target: "node22", format: "cjs", minify: true, write: false, logLevel: "warning" },
  });
  writeFileSync(join(target, "orders.js"), made.outputFiles[0]?.contents ?? "");
  return target;
}

beforeAll(async () => {
  const python = await pipPackage(programFolder("python-powertools"));
  programs["python3.11"] = unpacked(python, folder, "python");
  const bundle = await bundled();
  programs["nodejs22.x"] = programs["nodejs24.x"] = bundle;
  const typescript = filesCode(await filesBelow(bundle));
  const spec = { memorySize: MEMORY, timeout: 30 };
  await applyAndWait(
    lambdaFunction(nameOf("python3.11"), "python3.11", "app.handler", await codeOf("programs-python-powertools.zip", python), spec),
    lambdaFunction(nameOf("nodejs22.x"), "nodejs22.x", "orders.handler", typescript, spec),
    lambdaFunction(nameOf("nodejs24.x"), "nodejs24.x", "orders.handler", typescript, spec),
  );
});
afterAll(async () => {
  removeFolder(folder);
  await deleteFunctions(...CASES.map(({ runtime }) => nameOf(runtime)));
});

describe.each(CASES)("$language on $runtime", ({ runtime, events }) => {
  test("logs, measures and answers as it does here; the context's fields are the invocation's", async () => {
    const name = nameOf(runtime);
    const arn = await kubectl("get", "function", name, "-o", "jsonpath={.status.functionArn}");
    const remote: { answers: unknown[]; printed: Json[] } = { answers: [], printed: [] };
    for (const [index, event] of events.entries()) {
      const answer = await invokeRaw(client, name, JSON.stringify(event));
      expect(answer.functionError, answer.text).toBeUndefined();
      const printed = records(answer.log);
      remote.answers.push(JSON.parse(answer.text));
      remote.printed.push(...printed);
      const line = printed.find((record) => record.message === "order taken");
      expect(line, answer.log).toMatchObject({
        level: "INFO",
        function_name: name,
        function_arn: arn,
        function_request_id: answer.requestId,
        cold_start: index === 0,
        order_id: `o-${index + 1}`,
      });
      expect(printed.some((record) => "OrdersTaken" in record && "_aws" in record)).toBe(true);
      expect(printed.some((record) => "ColdStart" in record)).toBe(index === 0);
      expect(answer.log).not.toMatch(/daemon|segment/i);
    }
    const local = await here(runtime, programs[runtime] ?? "", [...events]);
    expect(remote.answers).toEqual(local.answers);
    expect(remote.printed.map(comparable)).toEqual(local.printed.map(comparable));
  });

  test("a caller's sampled trace is the log's, and its segments are sent to nobody without harm", async () => {
    const root = "1-5759e988-bd862e3fe1be46a994272793";
    const trace = `Root=${root};Parent=53995c3f42cd8ad8;Sampled=1`;
    const answer = await invokeRaw(client, nameOf(runtime), JSON.stringify(events[0]), { trace });
    expect(answer.functionError, answer.text).toBeUndefined();
    expect(records(answer.log).find((record) => record.message === "order taken")).toMatchObject({ xray_trace_id: root });
  });
});

describe("Powertools' HTTP resolver for Python", () => {
  test.for([
    ["an order that its model refuses", { ...post("o-3"), body: '{"id":"o-3","items":[{"article":"","quantity":0,"cents":1}]}' }, 422],
    ["an order that is not there", { ...post("o-4"), ...getOf("/orders/o-4") }, 404],
    ["a path that leads nowhere", { ...post("o-5"), ...getOf("/elsewhere") }, 404],
  ] as const)("%s: the status and body that it gives here", async ([, event, status]) => {
    const answer = await invokeRaw(client, nameOf("python3.11"), JSON.stringify(event));
    expect(answer.functionError, answer.text).toBeUndefined();
    expect(JSON.parse(answer.text).statusCode).toBe(status);
    expect([JSON.parse(answer.text)]).toEqual((await here("python3.11", programs["python3.11"] ?? "", [event])).answers);
  });
});

/** What makes {@link post} a GET of `path`. */
function getOf(path: string): object {
  return { rawPath: path, body: "", requestContext: { requestId: "request", stage: "$default", http: { method: "GET", path } } };
}
