/** The README's first function, through every client that people use, all unmodified. */
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { deleteFunctions, kubectl, must, pythonTools, run } from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";

const folder = mkdtempSync(join(tmpdir(), "kappa-clients-"));
const out = join(folder, "out.json");
let bin = "";

beforeAll(async () => {
  bin = pythonTools();
  await kubectl("apply", "-f", "examples/hello-python.yaml");
  await kubectl("wait", "--for=condition=Ready", "--timeout=120s", "function/hello-python");
});

afterAll(() => deleteFunctions("hello-python"));

test("PyPI's aws-cli invokes the example and writes its answer to the file", async () => {
  const printed = await must(join(bin, "aws"), ["lambda", "invoke", "--function-name", "hello-python", "--payload", '{"name":"x"}', out]);
  expect(JSON.parse(printed)).toEqual({ StatusCode: 200, ExecutedVersion: "$LATEST" });
  expect(readFileSync(out, "utf8")).toContain("x");
});

test("the aws-cli's --log-type Tail shows START, END and REPORT", async () => {
  const printed = await must(join(bin, "aws"), [
    "lambda",
    "invoke",
    "--function-name",
    "hello-python",
    "--payload",
    '{"name":"x"}',
    "--log-type",
    "Tail",
    out,
  ]);
  const log = Buffer.from(JSON.parse(printed).LogResult, "base64").toString();
  expect(log).toMatch(/^START RequestId: [0-9a-f-]{36} Version: \$LATEST\n/);
  expect(log).toMatch(
    /\nEND RequestId: [0-9a-f-]{36}\nREPORT RequestId: [0-9a-f-]{36}\tDuration: [0-9.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\tMax Memory Used: \d+ MB/,
  );
});

test("the aws-cli's --invocation-type DryRun answers 204 and runs nothing", async () => {
  const printed = await must(join(bin, "aws"), ["lambda", "invoke", "--function-name", "hello-python", "--invocation-type", "DryRun", out]);
  expect(JSON.parse(printed).StatusCode).toBe(204);
});

test("boto3 invokes it by ARN", async () => {
  const arn = await kubectl("get", "function", "hello-python", "-o", "jsonpath={.status.functionArn}");
  expect(arn).toMatch(/^arn:aws:lambda:[a-z0-9-]+:\d{12}:function:hello-python$/);
  const script =
    "import boto3,sys;r=boto3.client('lambda').invoke(FunctionName=sys.argv[1],Payload=b'{\"name\":\"boto\"}');print(r['StatusCode'],r['ExecutedVersion'],r['Payload'].read().decode())";
  expect(await must(join(bin, "python"), ["-c", script, arn])).toMatch(/^200 \$LATEST .*boto/);
});

test("the AWS SDK for JavaScript invokes it", async () => {
  const answer = await invoke(lambdaClient(), "hello-python", { name: "js" });
  expect(answer).toMatchObject({ status: 200, functionError: undefined, executedVersion: "$LATEST" });
  expect(JSON.stringify(answer.payload)).toContain("js");
});

test("kubectl get fn shows runtime, memory, state and age", async () => {
  const [header = "", row = ""] = (await kubectl("get", "fn", "hello-python")).trim().split("\n");
  expect(header).toMatch(/NAME\s+RUNTIME\s+MEMORY\s+STATE\s.*AGE/);
  expect(row).toMatch(/^hello-python\s+python3\.11\s+128\s+Active\s/);
});

test("wrong credentials are refused with Lambda's error", async () => {
  const refused = await run("env", [
    "AWS_SECRET_ACCESS_KEY=wrong",
    join(bin, "aws"),
    "lambda",
    "invoke",
    "--function-name",
    "hello-python",
    out,
  ]);
  expect(refused.status).not.toBe(0);
  expect(refused.stderr).toContain("InvalidSignatureException");
});
