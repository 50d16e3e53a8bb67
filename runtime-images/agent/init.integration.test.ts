/** The start of a function: what can go wrong, in whose words it is said, and that the next event tries again. */
import { rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Assignment, FrameType } from "../../operator/src/api/environment-protocol.ts";
import { agentHarness } from "./testing/harness.ts";
import { assignmentOf, type TestFile } from "./testing/packages.ts";
import { providedFunction, providedRuntime } from "./testing/provided.ts";

const { running, unassigned } = agentHarness();
let providedRoot: string;

beforeAll(async () => {
  providedRoot = await providedRuntime();
});
afterAll(async () => await rm(providedRoot, { recursive: true, force: true }));

const ECHO = "def handler(event, context):\n    return event\n";

describe("a start that fails", () => {
  test.each<[string, string, string, string, Partial<Assignment>]>([
    ["cannot be imported", "import missing_module\n", "Runtime.ImportModuleError", "No module named 'missing_module'", {}],
    ["has a syntax error", "def handler(:\n", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'", {}],
    ["lacks the handler", ECHO, "Runtime.HandlerNotFound", "Handler 'other' missing on module 'app'", { handler: "app.other" }],
    ["has a handler that is no handler", ECHO, "Runtime.MalformedHandlerName", "Bad handler 'app'", { handler: "app" }],
    ["raises", "raise KeyError('no')\n", "KeyError", "'no'", {}],
  ])("because the function %s answers the event with Python's own error", async (_, source, errorType, message, over) => {
    const { link, agent } = await running(source, over);
    const { result, json } = await link.invoke({});
    expect(result).toMatchObject({ functionError: "Unhandled", errorType, reusable: true });
    expect(result.initDurationMs).toBeUndefined();
    expect(json).toMatchObject({ errorType, errorMessage: expect.stringContaining(message) });
    expect(JSON.stringify(json).replaceAll(agent.taskRoot, "/var/task")).not.toMatch(/kappa/i);
    // As Lambda does: once ahead of the event, once for it.
    const output = await agent.output("\nREPORT");
    for (const phase of ["init", "invoke"])
      expect(output).toMatch(
        new RegExp(`^INIT_REPORT Init Duration: [\\d.]+ ms\\tPhase: ${phase}\\tStatus: error\\tError Type: ${errorType}$`, "m"),
      );
  });

  test("by the end of the process is answered with Runtime.ExitError, in Lambda's order of lines", async () => {
    const { link } = await running("import os\nprint('starting')\nos._exit(7)\n");
    const requestId = crypto.randomUUID();
    const { result, json, tail } = await link.invoke({}, { requestId, logTail: true });
    const message = `RequestId: ${requestId} Error: Runtime exited with error: exit status 7`;
    expect(result.maxMemoryMb).toBeGreaterThan(1);
    expect(result).toMatchObject({ functionError: "Unhandled", errorType: "Runtime.ExitError", reusable: true });
    expect(json).toEqual({ errorType: "Runtime.ExitError", errorMessage: message });
    const lines = tail.split("\n").map((line) => line.replace(/[\d.]+ ms/g, "N ms"));
    expect(lines).toEqual([
      "starting",
      "INIT_REPORT Init Duration: N ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError",
      "starting",
      "INIT_REPORT Init Duration: N ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError",
      `START RequestId: ${requestId} Version: $LATEST`,
      message,
      "Runtime.ExitError",
      `END RequestId: ${requestId}`,
      expect.stringMatching(/^REPORT RequestId: .*\tStatus: error\tError Type: Runtime.ExitError$/),
      "",
    ]);
  });

  test("is tried again by every event, in the same environment, and once it works it is not tried again", async () => {
    const { link, agent } = await running(`
import os
path = "../starts"
with open(path, "a") as file: file.write("x")
starts = os.path.getsize(path)
if starts < 4: raise RuntimeError(f"start {starts}")
def handler(event, context):
    return starts
`);
    expect((await link.invoke({})).json).toMatchObject({ errorMessage: "start 2" });
    expect((await link.invoke({})).json).toMatchObject({ errorMessage: "start 3" });
    const { result, json } = await link.invoke({});
    expect(json).toBe(4);
    // The start was part of the event, so it is no init of its own.
    expect(result.initDurationMs).toBeUndefined();
    expect((await link.invoke({})).json).toBe(4);
    expect(await agent.functionProcesses()).toHaveLength(1);
    expect(link.received.filter((f) => f.type === FrameType.stateChange && f.header.state === "failed")).toEqual([]);
  });

  test("after an event that ended the runtime leaves the next event the next try", async () => {
    const { link, agent } = await running(`
import os, sys
if os.path.exists("../mark"):
    os.remove("../mark")
    raise RuntimeError("not twice")
def handler(event, context):
    if event == 0: return "fine"
    open("../mark", "w").close()
    sys.exit(1)
`);
    expect((await link.invoke(1)).result.errorType).toBe("Runtime.ExitError");
    await agent.output("INIT_REPORT");
    expect((await link.invoke(0)).json).toBe("fine");
  });

  test("that takes longer than ten seconds is tried again by the event, within its own limit", { timeout: 60_000 }, async () => {
    const { link, assigned } = await running("import time\ntime.sleep(11)\ndef handler(event, context):\n    return 'slow but there'\n", {
      timeout: 20,
    });
    expect(assigned.initDurationMs).toBeGreaterThanOrEqual(9_900);
    const { result, json, tail } = await link.invoke({}, { logTail: true });
    expect(json).toBe("slow but there");
    expect(result.durationMs).toBeGreaterThan(10_900);
    expect(tail).toMatch(/^INIT_REPORT Init Duration: [\d.]+ ms\tPhase: init\tStatus: timeout\nSTART /);
  });

  test("that takes longer than the event may ends it as a time-out", async () => {
    const { link } = await running(
      "import os, time\nif os.path.exists('../mark'): time.sleep(60)\nopen('../mark', 'w').close()\nraise RuntimeError('first')\n",
      { timeout: 1 },
    );
    const requestId = crypto.randomUUID();
    const { result, json, tail } = await link.invoke({}, { requestId, logTail: true });
    expect(result).toMatchObject({ errorType: "Sandbox.Timedout", durationMs: 1000, reusable: true });
    expect(json).toEqual({
      errorType: "Sandbox.Timedout",
      errorMessage: `RequestId: ${requestId} Error: Task timed out after 1.00 seconds`,
    });
    expect(tail).toMatch(/INIT_REPORT Init Duration: [\d.]+ ms\tPhase: invoke\tStatus: timeout\nSTART RequestId: /);
  });

  test("by what the runtime says after its first next is refused: the event is still its own", async () => {
    const { link, code } = await unassigned(
      providedFunction(`
async function handle(id, event) {
  const { status, body } = await call("POST", "/init/error");
  await respond(id, JSON.stringify([status, JSON.parse(body).errorType]));
}`),
      { runtimeRoot: providedRoot, env: { KAPPA_RUNTIME: "provided.al2023" } },
    );
    expect(await link.assign(assignmentOf(code))).toHaveProperty("assigned");
    expect((await link.invoke({})).json).toEqual([403, "InvalidStateTransition"]);
  });
});

describe("a provided runtime", () => {
  const failing = async (files: Record<string, TestFile>) => {
    const { link, code, agent } = await unassigned(files, { runtimeRoot: providedRoot, env: { KAPPA_RUNTIME: "provided.al2023" } });
    expect(await link.assign(assignmentOf(code))).toHaveProperty("assigned");
    const requestId = crypto.randomUUID();
    const { result, json } = await link.invoke({}, { requestId });
    expect(result).toMatchObject({ functionError: "Unhandled", errorType: "Runtime.InvalidEntrypoint", reusable: true });
    const { errorType, errorMessage } = json as { errorType: string; errorMessage: string };
    expect(errorType).toBe("Runtime.InvalidEntrypoint");
    const prefix = `RequestId: ${requestId} Error: `;
    expect(errorMessage.startsWith(prefix)).toBe(true);
    return errorMessage.slice(prefix.length).replaceAll(agent.taskRoot, "/var/task");
  };

  test("without a bootstrap, or with one that cannot be started, says so as Lambda does", async () => {
    expect(await failing({ main: "x" })).toBe("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]");
    expect(await failing({ bootstrap: "#!/bin/sh\n" })).toBe("fork/exec /var/task/bootstrap: permission denied");
    expect(await failing({ bootstrap: { content: "not a program", mode: 0o100755 } })).toBe(
      "fork/exec /var/task/bootstrap: exec format error",
    );
  });

  test("has Lambda's variables and not those of a language, nor any of Kappa's", async () => {
    const { link, code } = await unassigned(
      providedFunction("const handle = (id) => respond(id, JSON.stringify({ env: process.env, cwd: process.cwd() }));"),
      {
        runtimeRoot: providedRoot,
        env: {
          KAPPA_RUNTIME: "provided.al2023",
          KUBERNETES_SERVICE_HOST: "10.96.0.1",
          KUBERNETES_SERVICE_PORT: "443",
          KUBERNETES_PORT_443_TCP: "tcp://10.96.0.1:443",
        },
      },
    );
    expect(await link.assign(assignmentOf(code, { environment: { OWN: "ü" } }))).toHaveProperty("assigned");
    const { env } = (await link.invoke({})).json as { env: Record<string, string> };
    expect(env).toMatchObject({
      OWN: "ü",
      PATH: "/usr/local/bin:/usr/bin/:/bin:/opt/bin",
      KUBERNETES_SERVICE_HOST: "10.96.0.1",
      AWS_ACCESS_KEY_ID: "ASIAKEY",
      AWS_ENDPOINT_URL_LAMBDA: "http://kappa-gateway.kappa-system.svc.cluster.local:8080",
    });
    expect(env).not.toHaveProperty("AWS_EXECUTION_ENV");
    expect(Object.keys(env).filter((name) => /^(KAPPA|_KAPPA|POD_)/.test(name) || name === "KUBERNETES_PORT_443_TCP")).toEqual([]);
  });
});
