import { describe, expect, test } from "vitest";
import type { Assignment } from "../../../../operator/src/api/environment-protocol.ts";
import { runtimeVariables, zygoteVariables } from "./variables.ts";

const ASSIGNMENT: Assignment = {
  assignmentId: "a",
  functionName: "f",
  version: "3",
  functionArn: "arn",
  handler: "app.handler",
  memorySize: 256,
  timeout: 3,
  environment: {},
  region: "eu-central-1",
  accountId: "000000000001",
  initializationType: "provisioned-concurrency",
  code: { sha256: "0", size: 1 },
  logging: { format: "Text", group: "g", stream: "s" },
  credentials: { accessKeyId: "ASIAKEY", secretAccessKey: "secret", sessionToken: "session" },
  lambdaEndpoint: "http://gateway:8080",
  pass: "pass",
  epoch: 1,
};

function variablesOf(runtime: string, over: Partial<Assignment> = {}): Record<string, string> {
  return runtimeVariables({
    assignment: { ...ASSIGNMENT, ...over },
    runtime,
    runtimeApi: "127.0.0.1:9001",
    taskRoot: "/var/task",
    runtimeRoot: "/var/runtime",
    inherited: { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" },
  });
}

/** What every runtime has, besides what differs. */
const COMMON = {
  KUBERNETES_SERVICE_HOST: "10.96.0.1",
  KUBERNETES_SERVICE_PORT: "443",
  AWS_ACCESS_KEY_ID: "ASIAKEY",
  AWS_DEFAULT_REGION: "eu-central-1",
  AWS_ENDPOINT_URL_LAMBDA: "http://gateway:8080",
  AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "256",
  AWS_LAMBDA_FUNCTION_NAME: "f",
  AWS_LAMBDA_FUNCTION_VERSION: "3",
  AWS_LAMBDA_INITIALIZATION_TYPE: "provisioned-concurrency",
  AWS_LAMBDA_LOG_FORMAT: "Text",
  AWS_LAMBDA_LOG_GROUP_NAME: "g",
  AWS_LAMBDA_LOG_STREAM_NAME: "s",
  AWS_LAMBDA_RUNTIME_API: "127.0.0.1:9001",
  AWS_REGION: "eu-central-1",
  AWS_SECRET_ACCESS_KEY: "secret",
  AWS_SESSION_TOKEN: "session",
  AWS_XRAY_CONTEXT_MISSING: "LOG_ERROR",
  AWS_XRAY_DAEMON_ADDRESS: "127.0.0.1:2000",
  LAMBDA_RUNTIME_DIR: "/var/runtime",
  LAMBDA_TASK_ROOT: "/var/task",
  LANG: "en_US.UTF-8",
  TZ: ":UTC",
  _AWS_XRAY_DAEMON_ADDRESS: "127.0.0.1",
  _AWS_XRAY_DAEMON_PORT: "2000",
  _HANDLER: "app.handler",
};
const LIBRARIES = "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";

describe("a runtime has Lambda's variables and no other", () => {
  const language = {
    ...COMMON,
    PATH: "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    LD_LIBRARY_PATH: `/var/lang/lib:${LIBRARIES}`,
  };
  const nodePath = (version: number): string =>
    `/opt/nodejs/node${version}/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task`;

  test.each<[string, Record<string, string>]>([
    ["python3.11", { ...language, AWS_EXECUTION_ENV: "AWS_Lambda_python3.11" }],
    ["java17", { ...language, AWS_EXECUTION_ENV: "AWS_Lambda_java17" }],
    ["nodejs22.x", { ...language, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs22.x", NODE_PATH: nodePath(22) }],
    ["nodejs24.x", { ...language, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x", NODE_PATH: nodePath(24) }],
    // Recorded: no AWS_EXECUTION_ENV, nothing of /var/lang.
    ["provided.al2023", { ...COMMON, PATH: "/usr/local/bin:/usr/bin/:/bin:/opt/bin", LD_LIBRARY_PATH: LIBRARIES }],
  ])("%s", (runtime, expected) => {
    expect(variablesOf(runtime)).toEqual(expected);
  });
});

test("a function's variables override what Lambda lets them override, and nothing else", () => {
  const environment = {
    OWN: "1",
    TZ: "Europe/Berlin",
    PATH: "/opt/tools",
    AWS_ENDPOINT_URL_LAMBDA: "https://lambda.eu-central-1.amazonaws.com",
    AWS_REGION: "mine",
    AWS_ACCESS_KEY_ID: "mine",
    AWS_EXECUTION_ENV: "mine",
    AWS_LAMBDA_FUNCTION_NAME: "mine",
    _HANDLER: "mine",
  };
  const { OWN, TZ, PATH, AWS_ENDPOINT_URL_LAMBDA } = environment;
  expect(variablesOf("java17", { environment })).toMatchObject({
    OWN,
    TZ,
    PATH,
    AWS_ENDPOINT_URL_LAMBDA,
    AWS_REGION: "eu-central-1",
    AWS_ACCESS_KEY_ID: "ASIAKEY",
    AWS_EXECUTION_ENV: "AWS_Lambda_java17",
    AWS_LAMBDA_FUNCTION_NAME: "f",
    _HANDLER: "app.handler",
  });
});

test("the level of a JSON log is told to the runtime's client, INFO where none was chosen; a text log has none", () => {
  const json = { format: "JSON" as const, group: "g", stream: "s" };
  expect(variablesOf("java17", { logging: { ...json, applicationLevel: "ERROR" } }).AWS_LAMBDA_LOG_LEVEL).toBe("ERROR");
  expect(variablesOf("java17", { logging: json })).toMatchObject({ AWS_LAMBDA_LOG_FORMAT: "JSON", AWS_LAMBDA_LOG_LEVEL: "INFO" });
  expect(variablesOf("java17")).not.toHaveProperty("AWS_LAMBDA_LOG_LEVEL");
});

test("a zygote starts with what all functions of its runtime have in common", () => {
  const input = {
    runtime: "nodejs24.x",
    runtimeApi: "127.0.0.1:9001",
    taskRoot: "/var/task",
    runtimeRoot: "/var/runtime",
    inherited: { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" },
  };
  const zygote = zygoteVariables(input, 0);
  expect(Object.keys(zygote)).not.toContain("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
  expect(variablesOf("nodejs24.x")).toMatchObject(zygote);
  expect(variablesOf("nodejs24.x")).toMatchObject(zygoteVariables(input, 256));
});
