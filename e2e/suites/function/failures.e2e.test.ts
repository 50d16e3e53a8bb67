/** What goes wrong in a function answers as on Lambda, and the next invocation works. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { apply, applyAndWait, deleteFunctions, eventually, kubectl, kubectlJson, pythonFunction } from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";

const SOURCE = `
import os, subprocess, sys, time

def handler(event, context):
    kind = event.get("kind")
    if kind == "raise":
        raise ValueError("no such luck")
    if kind == "exit":
        sys.exit(1)
    if kind == "hard-exit":
        os._exit(3)
    if kind == "hang":
        # A child in a session of its own that ignores SIGTERM: only killing the whole tree ends it.
        subprocess.Popen([sys.executable, "-c", "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"], start_new_session=True)
        time.sleep(600)
    if kind == "children":
        names = [open(f"/proc/{p}/cmdline").read() for p in os.listdir("/proc") if p.isdigit()]
        return [n for n in names if "SIG_IGN" in n]
    return {"echo": event}
`;

const name = "e2e-failures";
const bad = ["e2e-bad-zip", "e2e-wrong-digest"];
const client = lambdaClient(1);
const works = async (): Promise<void> => expect((await invoke(client, name, { n: 1 })).payload).toEqual({ echo: { n: 1 } });

beforeAll(() => applyAndWait(pythonFunction(name, SOURCE, { timeout: 1, memorySize: 256 })));
afterAll(() => deleteFunctions(name, ...bad));

test("an exception is a 200 with FunctionError Unhandled, its type, message and stack", async () => {
  const answer = await invoke(client, name, { kind: "raise" });
  expect(answer).toMatchObject({
    status: 200,
    functionError: "Unhandled",
    payload: { errorType: "ValueError", errorMessage: "no such luck" },
  });
  expect(answer.payload.stackTrace.join("")).toContain("index.py");
  expect(answer.payload.requestId).toMatch(/^[0-9a-f-]{36}$/);
  await works();
});

describe.each([
  ["sys.exit(1)", "exit"],
  ["os._exit(3)", "hard-exit"],
])("a function that calls %s", (_, kind) => {
  test("answers Runtime.ExitError and the next invocation works", async () => {
    const answer = await invoke(client, name, { kind });
    expect(answer).toMatchObject({ status: 200, functionError: "Unhandled", payload: { errorType: "Runtime.ExitError" } });
    expect(answer.payload.errorMessage).toMatch(/^RequestId: [0-9a-f-]{36} Error: Runtime exited/);
    await works();
  });
});

test("a time-out at 1 s kills the whole process tree, a child that ignores SIGTERM too", async () => {
  const answer = await invoke(client, name, { kind: "hang" });
  expect(answer).toMatchObject({ status: 200, functionError: "Unhandled", payload: { errorType: "Sandbox.Timedout" } });
  expect(answer.payload.errorMessage).toMatch(/^RequestId: [0-9a-f-]{36} Error: Task timed out after 1\.00 seconds$/);
  await works();
  expect((await invoke(client, name, { kind: "children" })).payload).toEqual([]);
});

test("an unknown function is Lambda's 404 with the ARN asked for", async () => {
  await expect(invoke(client, "e2e-nobody", {})).rejects.toMatchObject({
    name: "ResourceNotFoundException",
    message: expect.stringMatching(/^Function not found: arn:aws:lambda:[a-z0-9-]+:\d{12}:function:e2e-nobody:\$LATEST$/),
  });
});

test("a payload that is not JSON is Lambda's 400", async () => {
  await expect(invoke(client, name, undefined, { Payload: Buffer.from("{not json") })).rejects.toMatchObject({
    name: "InvalidRequestContentException",
  });
});

interface Status {
  status?: { state?: string; stateReason?: string; stateReasonCode?: string };
}

const failed = (fn: string) =>
  eventually(`${fn} is Failed`, async () => {
    const { status } = await kubectlJson<Status>("get", "function", fn);
    return status?.state === "Failed" ? status : undefined;
  });

test("a bad zip fails the function with the reason, and its invocation is Lambda's InvalidZipFileException", async () => {
  await apply(pythonFunction("e2e-bad-zip", "", { code: { zip: Buffer.from("PK\u0003\u0004 cut off").toString("base64") } }));
  const status = await failed("e2e-bad-zip");
  expect(status).toMatchObject({ stateReasonCode: "InvalidZipFileException", stateReason: expect.stringContaining("K200") });
  await expect(invoke(client, "e2e-bad-zip", {})).rejects.toMatchObject({
    name: "InvalidZipFileException",
    $metadata: { httpStatusCode: 502 },
  });
});

test("a package with another digest than declared never runs", async () => {
  await apply(
    pythonFunction("e2e-wrong-digest", "", { code: { url: { url: "http://www.internet.test/package.zip", sha256: "0".repeat(64) } } }),
  );
  const status = await failed("e2e-wrong-digest");
  expect(status).toMatchObject({ stateReasonCode: "InvalidZipFileException", stateReason: expect.stringContaining("K203") });
  await expect(invoke(client, "e2e-wrong-digest", {})).rejects.toMatchObject({ name: "InvalidZipFileException" });
});

test("a failed update leaves the former code in force", async () => {
  await apply(pythonFunction(name, "", { timeout: 1, memorySize: 256, code: { zip: Buffer.from("PK no zip").toString("base64") } }));
  await eventually("the update has failed", async () => {
    const status = await kubectl("get", "function", name, "-o", "jsonpath={.status.lastUpdateStatus}");
    return status === "Failed" ? true : undefined;
  });
  await works();
});
