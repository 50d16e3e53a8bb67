/** The real agent with the real Python runtime client, against a gateway that speaks the protocol. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Assignment, FrameType } from "../../operator/src/api/environment-protocol.ts";
import { until } from "./testing/agent-process.ts";
import { memoryCgroup } from "./testing/cgroup.ts";
import type { AgentLink } from "./testing/gateway.ts";
import { agentHarness } from "./testing/harness.ts";
import { assignmentOf, type TestFile, type TestPackage, zipOf } from "./testing/packages.ts";

const { unassigned, running } = agentHarness();

const ECHO = "def handler(event, context):\n    return event\n";

describe("an event", () => {
  test("reaches the handler and its answer comes back", async () => {
    const { link, assigned } = await running(ECHO);
    expect(assigned.initDurationMs).toBeGreaterThan(0);
    const { result, json } = await link.invoke({ name: "ünïcode", list: [1, 2.5, null] });
    expect(json).toEqual({ name: "ünïcode", list: [1, 2.5, null] });
    expect(result).toMatchObject({ initDurationMs: assigned.initDurationMs, reusable: true });
    expect(result.functionError).toBeUndefined();
    expect(result.billedMs).toBe(Math.ceil(result.durationMs + assigned.initDurationMs));
    expect(result.maxMemoryMb).toBeGreaterThan(5);
    expect((await link.invoke({})).result.initDurationMs).toBeUndefined();
  });

  test("carries Lambda's context and environment", async () => {
    const { link, agent } = await running(
      `
import os, sys
def handler(event, context):
    return {
        "id": context.aws_request_id, "arn": context.invoked_function_arn, "remaining": context.get_remaining_time_in_millis(),
        "name": context.function_name, "version": context.function_version, "memory": context.memory_limit_in_mb,
        "client": context.client_context.custom, "env": dict(os.environ), "cwd": os.getcwd(), "path": sys.path, "stdin": sys.stdin.read(),
    }
`,
      { environment: { GREETING: "grüß", LANG: "C.UTF-8", _HANDLER: "other.thing" }, timeout: 30 },
    );
    const requestId = crypto.randomUUID();
    const { json } = await link.invoke(
      {},
      { requestId, clientContext: '{"custom":\n{"k":"vé"}}', traceId: "Root=1-5e1b4151-5ac6c58f7ec2d1f0a1b2c3d4;Sampled=0" },
    );
    expect(json).toMatchObject({
      id: requestId,
      arn: "arn:aws:lambda:us-east-1:000000000001:function:f",
      name: "f",
      version: "$LATEST",
      memory: "128",
      client: { k: "vé" },
      cwd: agent.taskRoot,
      stdin: "",
      env: {
        GREETING: "grüß",
        LANG: "C.UTF-8",
        _HANDLER: "app.handler",
        AWS_EXECUTION_ENV: "AWS_Lambda_python3.11",
        AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "128",
        LAMBDA_TASK_ROOT: agent.taskRoot,
        TZ: ":UTC",
        _X_AMZN_TRACE_ID: "Root=1-5e1b4151-5ac6c58f7ec2d1f0a1b2c3d4;Sampled=0",
      },
    });
    const seen = json as { remaining: number; path: string[]; env: Record<string, string> };
    expect(seen.remaining).toBeGreaterThan(20_000);
    expect(seen.remaining).toBeLessThanOrEqual(30_000);
    expect(seen.path.slice(0, 3)).toEqual([agent.taskRoot, "/opt/python/lib/python3.11/site-packages", "/opt/python"]);
    expect(Object.keys(seen.env).filter((name) => name.startsWith("KAPPA_") || name.startsWith("POD_"))).toEqual([]);
  });

  test("finds the role's Kubernetes token where the gateway's last renewal put it", async () => {
    const { link, agent, assigned } = await running(
      "import os\ndef handler(event, context):\n    return {name: open(event + '/' + name).read() for name in sorted(os.listdir(event))}\n",
    );
    const send = (token: string, of = assigned.assignmentId) =>
      link.send({ type: FrameType.roleToken, header: { assignmentId: of, token, namespace: "team", caCertificate: "PEM" } });
    for (const token of ["first", "renewed"]) {
      send(token);
      // Of a gateway whose assignment was refused: that token is another function's.
      send("another function's", "uid-of-another/1/x");
      await until(async () => (await readFile(join(agent.roleFolder, "token"), "utf8").catch(() => "")) === token || undefined, token);
      expect((await link.invoke(agent.roleFolder)).json).toEqual({ "ca.crt": "PEM", namespace: "team", token });
    }
  });

  test("that raises is answered with Python's error, and the environment goes on", async () => {
    const { link } = await running(
      "def handler(event, context):\n    if event: raise ValueError('boom ' + event['x'])\n    return 'fine'\n",
    );
    const requestId = crypto.randomUUID();
    const { result, json } = await link.invoke({ x: "1" }, { requestId });
    expect(result).toMatchObject({ functionError: "Unhandled", errorType: "ValueError", reusable: true });
    expect(json).toMatchObject({
      errorMessage: "boom 1",
      errorType: "ValueError",
      requestId,
      stackTrace: [expect.stringContaining("raise ValueError")],
    });
    expect((await link.invoke(null)).json).toBe("fine");
  });

  test("whose error has a deep cause fits through the Runtime API's headers", async () => {
    const { link } = await running(
      "def deep(n):\n    if n == 0: raise RuntimeError('deep')\n    deep(n - 1)\n\ndef handler(e, c):\n    deep(900)\n",
    );
    expect((await link.invoke({})).json).toMatchObject({ errorType: "RuntimeError" });
  });

  test("whose result is no JSON is answered with Runtime.MarshalError", async () => {
    const { link } = await running("def handler(event, context):\n    return {1, 2}\n");
    const { result, json } = await link.invoke({});
    expect(result).toMatchObject({ functionError: "Unhandled", errorType: "Runtime.MarshalError" });
    expect(json).toMatchObject({ errorType: "Runtime.MarshalError", errorMessage: expect.stringContaining("Unable to marshal response") });
  });

  test("that is no JSON reaches the runtime unread", async () => {
    const { link } = await running(ECHO);
    expect((await link.outcome(link.offer("not json"))).json).toMatchObject({ errorType: "Runtime.UnmarshalError" });
  });

  test("may be answered with 6 MB, but not with one byte more than the limit", async () => {
    const { link } = await running("def handler(event, context):\n    return 'x' * (event['size'] - 2)\n");
    const largest = await link.invoke({ size: 6_291_556 });
    expect(largest.result.functionError).toBeUndefined();
    expect(largest.body.length).toBe(6_291_556);
    expect(largest.body.subarray(0, 3).toString()).toBe('"xx');
    const tooLarge = await link.invoke({ size: 6_291_557 }, { logTail: true });
    expect(tooLarge.result).toMatchObject({ functionError: "Unhandled", errorType: "Function.ResponseSizeTooLarge" });
    expect(tooLarge.json).toEqual({
      errorType: "Function.ResponseSizeTooLarge",
      errorMessage: "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    });
    expect((await link.invoke({ size: 10 })).json).toBe("x".repeat(8));
  });

  test("may itself be 6 MB", async () => {
    const { link } = await running("def handler(event, context):\n    return len(event)\n");
    expect((await link.invoke("y".repeat(6_291_454))).json).toBe(6_291_454);
  });

  test("is not taken while another one runs, and nothing of it runs", async () => {
    const { link } = await running("import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n");
    const first = link.offer("0.5");
    const second = link.offer("0");
    const busy = await link.take((f) => f.type === 8, "busy");
    expect(busy.header).toEqual({ requestId: second });
    expect((await link.outcome(first)).json).toBe(0.5);
    expect(link.received.filter((f) => f.type === 7)).toEqual([]);
  });

  test("a thousand in a row are answered in order, each with its own answer", async () => {
    const { link } = await running(ECHO);
    for (let index = 0; index < 1000; index++) expect((await link.invoke({ index })).json).toEqual({ index });
  });
});

describe("a runtime that ends", () => {
  const EXITS = `
import os, signal, sys, subprocess
def handler(event, context):
    if event == "exit 1": sys.exit(1)
    if event == "exit 0": os._exit(0)
    if event == "abort": os.kill(os.getpid(), signal.SIGSEGV)
    return os.getpid()
`;
  test.each([
    ["with a status", "exit 1", "Runtime exited with error: exit status 1"],
    ["without one", "exit 0", "Runtime exited without providing a reason"],
    ["by a signal", "abort", "Runtime exited with error: signal: segmentation fault"],
  ])("%s is answered as Lambda does, and the next event finds a new one", async (_, event, message) => {
    const { link } = await running(EXITS);
    const requestId = crypto.randomUUID();
    const { result, json, tail } = await link.invoke(event, { requestId, logTail: true });
    expect(result).toMatchObject({ functionError: "Unhandled", errorType: "Runtime.ExitError", reusable: true });
    expect(result.maxMemoryMb).toBeGreaterThan(5);
    expect(json).toEqual({ errorType: "Runtime.ExitError", errorMessage: `RequestId: ${requestId} Error: ${message}` });
    expect(tail).toMatch(/\tStatus: error\tError Type: Runtime.ExitError\n$/);
    expect((await link.invoke(null)).json).toEqual(expect.any(Number));
  });

  test("after its answer has sent its answer all the same, and the next event finds a new one", async () => {
    const { link, agent } = await running(`
import os, runtime_client
def handler(event, context):
    if event: runtime_client.next = lambda: os._exit(3)
    return os.getpid()
`);
    const first = (await link.invoke(1)).json;
    const second = (await link.invoke(0)).json;
    expect(first).toEqual(expect.any(Number));
    expect(second).toEqual(expect.any(Number));
    expect(second).not.toBe(first);
    expect(agent.stderr).toContain("the runtime ended after it had answered");
  });

  test("for lack of memory is answered with Runtime.OutOfMemory, and the agent lives", async ({ skip }) => {
    const cgroup = await memoryCgroup(192 * 1024 * 1024);
    if (!cgroup) return skip("this machine lets no memory cgroup be made");
    try {
      const source = "def handler(event, context):\n    return len(bytearray(event))\n";
      const { link, agent } = await running(source, {}, { cgroupProcs: cgroup.procs, env: { KAPPA_CGROUP_ROOT: cgroup.root } });
      const { result, json } = await link.invoke(400_000_000);
      expect(result).toMatchObject({ errorType: "Runtime.OutOfMemory", functionError: "Unhandled", maxMemoryMb: 128, reusable: true });
      expect(json).toMatchObject({ errorType: "Runtime.OutOfMemory", errorMessage: expect.stringContaining("signal: killed") });
      expect((await link.invoke(10)).json).toBe(10);
      await agent.stop();
    } finally {
      await cgroup.remove();
    }
  });
});

describe("the time limit", () => {
  test("ends an event and everything it started, however it hides", async () => {
    const { link, agent } = await running(
      `
import os, signal, subprocess, time
CHILD = "import signal, time\\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\\ntime.sleep(1000)"
def handler(event, context):
    if not event: return os.getpid()
    subprocess.Popen(["python3", "-c", CHILD], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True: time.sleep(1)
        os._exit(0)
    print("before the end")
    time.sleep(60)
`,
      { timeout: 1 },
    );
    await link.invoke(0);
    const before = await agent.functionProcesses();
    const requestId = crypto.randomUUID();
    const { result, json, tail } = await link.invoke(1, { requestId, logTail: true });
    expect(result).toMatchObject({
      functionError: "Unhandled",
      errorType: "Sandbox.Timedout",
      durationMs: 1000,
      billedMs: 1000,
      reusable: true,
    });
    expect(json).toEqual({
      errorType: "Sandbox.Timedout",
      errorMessage: `RequestId: ${requestId} Error: Task timed out after 1.00 seconds`,
    });
    expect(tail).toContain("before the end\n");
    expect(tail).toContain(`${requestId} Task timed out after 1.00 seconds\n`);
    expect(tail).toMatch(/\tStatus: timeout\n$/);
    expect((await link.invoke(0)).json).toEqual(expect.any(Number));
    const after = await agent.functionProcesses();
    expect(after).toHaveLength(1);
    expect(before.map(({ pid }) => pid)).not.toContain(after[0]?.pid);
  });

  test("counts from the hand-over, not the time that the environment was frozen", async () => {
    const { link } = await running("import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'done'\n", { timeout: 1 });
    await link.invoke(0);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect((await link.invoke(0.2)).json).toBe("done");
  });

  test("ends a runtime that answers and then never asks for the next event, which a new one gets", async () => {
    const { link, agent } = await running(
      `
import os, time, runtime_client
def handler(event, context):
    if event: runtime_client.next = lambda: time.sleep(1000)
    return os.getpid()
`,
      { timeout: 1 },
    );
    const first = (await link.invoke(1)).json;
    const second = (await link.invoke(0)).json;
    expect(second).toEqual(expect.any(Number));
    expect(second).not.toBe(first);
    expect(agent.stderr).toContain("did not ask for the next event");
  });
});

describe("the start of a function", () => {
  test("uses AWS_LAMBDA_EXEC_WRAPPER as Lambda does", async () => {
    const { link, code } = await unassigned({
      "app.py": "import os, sys\ndef handler(event, context):\n    return [os.environ['WRAPPED'], sys.flags.utf8_mode]\n",
      wrap: {
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
        content: '#!/bin/bash\nexport WRAPPED=yes\nargs=("$@")\nexec "${args[@]:0:$#-1}" -X utf8 "${args[@]: -1}"\n',
        mode: 0o100755,
      },
    });
    const environment = { AWS_LAMBDA_EXEC_WRAPPER: "./wrap" };
    expect(await link.assign(assignmentOf(code, { environment }))).toHaveProperty("assigned");
    expect((await link.invoke({})).json).toEqual(["yes", 1]);
  });

  test("can import the SDK that Lambda brings", async () => {
    const { link } = await running("import boto3\ndef handler(event, context):\n    return boto3.__name__\n", { timeout: 30 });
    expect((await link.invoke({})).json).toBe("boto3");
  });

  test("finds its own version of a library before the one that Lambda brings", async () => {
    const { link, code } = await unassigned({
      "app.py": "import six\ndef handler(event, context):\n    return six.__version__\n",
      "six.py": "__version__ = 'own'\n",
    });
    expect(await link.assign(assignmentOf(code))).toHaveProperty("assigned");
    expect((await link.invoke({})).json).toBe("own");
  });
});

describe("a package", () => {
  test("is unpacked with its folders, links and executable bits, and cannot be changed by accident", async () => {
    const { agent, link, gateway, code } = await unassigned({
      "app.py": `
import os, stat, subprocess
def handler(event, context):
    return {
        "run": subprocess.check_output(["./bin/tool"], text=True).strip(),
        "link": [os.readlink("lib/current"), open("lib/current/data.txt").read()],
        "modes": [oct(stat.S_IMODE(os.stat(p).st_mode)) for p in ("app.py", "bin/tool", "bin")],
        "big": os.path.getsize("big"),
        "left": sorted(n for n in os.listdir(event) if n.endswith(".zip")),
    }
`,
      "bin/tool": { content: "#!/bin/sh\necho tool\n", mode: 0o100755 },
      "lib/v1/data.txt": "data",
      "lib/current": { content: "v1", mode: 0o120777 },
      "empty/": "",
      big: new Uint8Array(3_000_000).fill(7),
    });
    expect(await link.assign(assignmentOf(code))).toHaveProperty("assigned");
    expect((await link.invoke(agent.folder)).json).toEqual({
      run: "tool",
      link: ["v1", "data"],
      modes: ["0o444", "0o555", "0o555"],
      big: 3_000_000,
      left: [],
    });
    expect(gateway.downloads).toEqual(["Bearer a-token"]);
  });

  const refused = async (code: TestPackage, over: Partial<Assignment>, link: AgentLink) => {
    const { failed } = await link.assign(assignmentOf(code, over));
    expect(failed).toMatchObject({ kind: "package", errorType: "InvalidZipFileException" });
    return failed?.message;
  };

  test("with another digest never runs", async () => {
    const { link, gateway, agent, code } = await unassigned({ "app.py": ECHO });
    const other = zipOf({ "app.py": "print('ran')\ndef handler(e, c): return 1\n" });
    gateway.packages.set(code.sha256, other.bytes);
    const message = await refused(code, { code: { sha256: code.sha256, size: other.bytes.length } }, link);
    expect(message).toContain(other.sha256);
    expect(await agent.functionProcesses()).toEqual([]);
    expect(agent.stdout).toBe("");
  });

  test("longer than declared is cut off", async () => {
    const { link, code } = await unassigned({ "app.py": ECHO });
    expect(await refused(code, { code: { sha256: code.sha256, size: code.bytes.length - 1 } }, link)).toContain("longer than");
  });

  test.each<[string, Record<string, TestFile>, string]>([
    ["with a name that leaves the folder", { "../evil.py": "x", "app.py": ECHO }, "has .. in its name"],
    ["with an absolute name", { "/tmp/evil.py": "x" }, "has an absolute name"],
    ["with a link out of the folder", { link: { content: "../../etc", mode: 0o120777 } }, "points out of the package"],
    ["with a file below a link", { link: { content: "dir", mode: 0o120777 }, "link/x": "x" }, "is a link"],
  ])("%s is refused before anything is written", async (_, files, why) => {
    const { link, agent, code } = await unassigned(files);
    expect(await refused(code, {}, link)).toContain(why);
    const { readdir } = await import("node:fs/promises");
    expect(await readdir(agent.taskRoot)).toEqual([]);
    expect(await readdir(agent.folder)).not.toContain("evil.py");
  });

  test("that is no archive is refused", async () => {
    const { link, gateway } = await unassigned({ "app.py": ECHO });
    const bytes = Buffer.from("this is no zip archive at all, however long it is");
    const { createHash } = await import("node:crypto");
    const code = { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
    gateway.packages.set(code.sha256, bytes);
    expect(await refused(code, {}, link)).toContain("cannot be unpacked");
  });

  test("that the gateway does not have is a failure of the platform", async () => {
    const { link, agent, gateway } = await unassigned({ "app.py": ECHO });
    const { failed } = await link.assign(assignmentOf({ bytes: new Uint8Array(5), sha256: "0".repeat(64) }));
    expect(failed).toMatchObject({
      kind: "package",
      errorType: "ServiceException",
      message: expect.stringContaining("could not be fetched"),
    });
    // Where it was looked for is for the operator, not for the caller.
    expect(failed?.message).not.toContain(gateway.address);
    await until(async () => (agent.stderr.includes("HTTP 404") ? true : undefined), "the reason in the agent's log");
  });
});

describe("the log", () => {
  test("has Lambda's lines, and each line of the function its request id", async () => {
    const { link, agent } = await running(`
import logging, sys
print("starting")
logging.getLogger().setLevel("INFO")
def handler(event, context):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    logging.info("a record")
    sys.stdout.write("no line end")
    return 1
`);
    const requestId = crypto.randomUUID();
    const { tail } = await link.invoke({}, { requestId, logTail: true });
    const [starting, ...lines] = tail.split("\n");
    expect(starting).toBe("starting");
    expect(lines[0]).toBe(`START RequestId: ${requestId} Version: $LATEST`);
    expect(lines.slice(1, 3)).toEqual(["to stdout", "to stderr"]);
    expect(lines[3]).toMatch(new RegExp(`^\\[INFO\\]\\t.*Z\\t${requestId}\\ta record$`));
    expect(lines[4]).toBe("no line end");
    expect(lines[5]).toBe(`END RequestId: ${requestId}`);
    expect(lines[6]).toMatch(
      new RegExp(
        `^REPORT RequestId: ${requestId}\\tDuration: [\\d.]+ ms\\tBilled Duration: \\d+ ms\\tMemory Size: 128 MB\\tMax Memory Used: \\d+ MB\\tInit Duration: [\\d.]+ ms$`,
      ),
    );
    const output = await agent.output("REPORT");
    expect(output).toContain("init\tstarting\n");
    expect(output).toContain(`${requestId}\tto stdout\n${requestId}\tto stderr\n`);
    expect(output).toContain(`${requestId}\tno line end\nEND`);
  });

  test("is JSON when the function wants it", async () => {
    const { link, agent } = await running(
      `
import logging
logging.getLogger().setLevel("INFO")
def handler(event, context):
    print("plain")
    logging.info("a record")
    if event: raise ValueError("x")
`,
      { logging: { format: "JSON", group: "g", stream: "s" } },
    );
    const requestId = crypto.randomUUID();
    await link.invoke({ a: 1 }, { requestId });
    const output = await agent.output("platform.report");
    const records = output
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(records[0]).toMatchObject({ type: "platform.start", record: { requestId, version: "$LATEST" } });
    expect(records[1]).toMatchObject({ requestId, message: "plain" });
    expect(records[2]).toMatchObject({ level: "INFO", message: "a record", requestId });
    expect(records[3]).toMatchObject({ level: "ERROR", errorType: "ValueError", requestId });
    expect(records[4]).toMatchObject({ type: "platform.report", record: { requestId, status: "success", metrics: { memorySizeMB: 128 } } });
  });

  test("in JSON keeps what its levels ask for, of the function and of the platform", async () => {
    const { link, agent } = await running(
      `
import logging
def handler(event, context):
    print("plain lines count as INFO")
    logging.warning("a warning")
    logging.error("an error")
    print('{"level": "fatal", "message": "printed"}')
    if event: raise ValueError("x")
`,
      { logging: { format: "JSON", group: "g", stream: "s", applicationLevel: "ERROR", systemLevel: "WARN" } },
    );
    const { tail } = await link.invoke(null, { logTail: true });
    const records = tail
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(records).toMatchObject([
      { level: "ERROR", message: "an error" },
      { level: "fatal", message: "printed" },
    ]);
    await link.invoke({ fail: true });
    expect(await agent.output("ValueError")).not.toMatch(/platform\.|a warning|plain/);
  });

  /** Writes between its answer and the next event, as AWS's client for Java does with a stack trace. */
  const AFTERWARDS = `
import os, runtime_client, sys, time
ask = runtime_client.next
def afterwards():
    runtime_client.next = ask
    time.sleep(0.3)
    print("afterwards of", current, flush=True)
    if current == "exit": os._exit(3)
    if current == "hang": time.sleep(60)
    return ask()
def handler(event, context):
    global current
    current = event
    runtime_client.next = afterwards
    return event
`;
  const [START, END, REPORT] = [/^START/, /^END/, /^REPORT/];

  test.each(["next", "exit", "hang"])("of an event goes on until its runtime is done with it, and the tail with it: %s", async (event) => {
    const { link } = await running(AFTERWARDS, { timeout: 2 });
    const { result, json, tail } = await link.invoke(event, { logTail: true });
    expect(json).toBe(event);
    expect(result).toMatchObject({ reusable: true });
    expect(result.functionError).toBeUndefined();
    // The wait for its log is not the event's time.
    expect(result.durationMs).toBeLessThan(2000);
    const lines = tail.trimEnd().split("\n");
    expect(lines.slice(-4)).toEqual([
      expect.stringMatching(START),
      `afterwards of ${event}`,
      expect.stringMatching(END),
      expect.stringMatching(REPORT),
    ]);
    expect((await link.invoke("next")).json).toBe("next");
  });

  test.each(["next", "exit", "hang"])("of an event ends before that of one that came while its runtime was not done: %s", async (event) => {
    const { link, agent } = await running(AFTERWARDS, { timeout: 2 });
    const first = await link.invoke(event);
    const { json, tail, result } = await link.invoke("next", { logTail: true });
    expect(json).toBe("next");
    expect(tail.trimEnd().split("\n").slice(-4)).toEqual([
      expect.stringMatching(START),
      "afterwards of next",
      expect.stringMatching(END),
      expect.stringMatching(REPORT),
    ]);
    const [one, two] = [first.result.requestId, result.requestId];
    await agent.output(`REPORT RequestId: ${two}`);
    const lines = agent.stdout
      .split("\n")
      .flatMap((line) => /^START.*|^[\w-]{36}\tafter.*|^END.*|^REPORT RequestId: [\w-]+/.exec(line) ?? []);
    expect(lines).toEqual([
      `START RequestId: ${one} Version: $LATEST`,
      `${one}\tafterwards of ${event}`,
      `END RequestId: ${one}`,
      `REPORT RequestId: ${one}`,
      `START RequestId: ${two} Version: $LATEST`,
      `${two}\tafterwards of next`,
      `END RequestId: ${two}`,
      `REPORT RequestId: ${two}`,
    ]);
  });

  test("of an answered event is ended when the environment ends", async () => {
    const { link, agent } = await running(AFTERWARDS);
    await link.invoke("hang");
    await agent.signal("SIGTERM");
    await agent.exited;
    expect(agent.stdout).toMatch(/^REPORT RequestId/m);
  });

  test("returns the last 4 KB", async () => {
    const { link } = await running("def handler(event, context):\n    for i in range(1000): print('line', i)\n");
    const { result, tail } = await link.invoke({}, { logTail: true });
    expect(Buffer.from(result.logTail ?? "", "base64")).toHaveLength(4096);
    expect(tail).toContain("line 999\nEND RequestId");
    expect((await link.invoke({})).result.logTail).toBeUndefined();
  });

  test("of a function that never stops writing, with and without line ends, bounds the agent's memory and the node's log", async () => {
    const { link, agent } = await running(
      `
import os, threading
def flood():
    while True: os.write(1, b"x" * 65536 if mode == "one line" else b"a short line\\n" * 5000)
def handler(event, context):
    global mode
    mode = event
    if threading.active_count() == 1: threading.Thread(target=flood, daemon=True).start()
    import time; time.sleep(2)
    return event
`,
      { memorySize: 1769 },
    );
    expect((await link.invoke("one line")).json).toBe("one line");
    expect((await link.invoke("many lines")).json).toBe("many lines");
    const status = await readFile(`/proc/${await agent.pid()}/status`, "utf8");
    const dropped = await agent.output("LOGS DROPPED");
    expect(dropped).toMatch(/LOGS DROPPED RequestId: [\w-]+ Records: \d+ Bytes: \d+/);
    const droppedKb = [...agent.stdout.matchAll(/LOGS DROPPED .* Bytes: (\d+)/g)].reduce((sum, [, bytes]) => sum + Number(bytes) / 1024, 0);
    // An agent that kept what it drops would grow by all of it; one that does not is above its start by what the collector has yet to free.
    expect(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1])).toBeLessThan(150_000 + droppedKb / 4);
    expect(agent.stdout.length).toBeLessThan(64 * 1024 * 1024);
  });

  test("leaves the runtime a pipe that can be opened again", async () => {
    const { link } = await running(
      "def handler(event, context):\n    with open('/dev/stdout', 'w') as out: out.write('opened again\\n')\n",
    );
    expect((await link.invoke({}, { logTail: true })).tail).toContain("opened again\n");
  });
});

describe("outside of a PID namespace", () => {
  test("only what the agent started is stopped and killed", async () => {
    const bystander = spawn("sleep", ["1000"]);
    const source = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n";
    const { link, agent } = await running(source, { timeout: 1 }, { ownPidNamespace: false });
    await until(async () => ((await agent.functionProcesses())[0]?.state === "T" ? true : undefined), "the runtime to be stopped");
    expect((await link.invoke(5)).result.errorType).toBe("Sandbox.Timedout");
    expect((await link.invoke(0)).json).toBe(0);
    expect(bystander.exitCode).toBeNull();
    expect(bystander.kill("SIGKILL")).toBe(true);
    // Nothing would take a stopped runtime along with its agent here.
    link.send({ type: 9, header: { reason: "idle" } });
    expect(await agent.exited).toBe(0);
    expect(await agent.functionProcesses()).toEqual([]);
  });
});

describe("between events", () => {
  test("threads and children of the function stand still, and go on with the next event", async () => {
    const { link, agent } = await running(`
import subprocess, threading, time
ticks = 0
def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.001)
threading.Thread(target=tick, daemon=True).start()
subprocess.Popen(["sh", "-c", "while :; do :; done"])
def handler(event, context):
    before = ticks
    while ticks < before + event: time.sleep(0.001)
    return ticks - before
`);
    expect((await link.invoke(5)).json).toBeGreaterThanOrEqual(5);
    const stopped = await until(async () => {
      const all = await agent.functionProcesses();
      return all.length === 2 && all.every(({ state }) => state === "T") ? all : undefined;
    }, "all processes to be stopped");
    await new Promise((resolve) => setTimeout(resolve, 500));
    // Not one of them has had the CPU since.
    expect(await agent.functionProcesses()).toEqual(stopped);
    expect((await link.invoke(5)).json).toBeGreaterThanOrEqual(5);
  });
});

describe("the end", () => {
  const SLOW = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return 'finished'\n";

  test.each(["SIGTERM", "shutdown"])("by %s waits for the running event and leaves nothing behind", async (how) => {
    const { link, agent } = await running(SLOW);
    const requestId = link.offer("0.7");
    await agent.output("START");
    if (how === "SIGTERM") await agent.signal("SIGTERM");
    else link.send({ type: 9, header: { reason: "drain" } });
    const { result, json } = await link.outcome(requestId);
    expect(json).toBe("finished");
    expect(result.reusable).toBe(false);
    expect(await agent.exited).toBe(0);
    await link.closed();
    expect(agent.stdout).toContain("REPORT");
    expect(await agent.functionProcesses()).toEqual([]);
  });

  test("runs an event that was taken while the runtime was about to end", async () => {
    const { link, agent } = await running(`
import os, time
from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
def leave(self):
    time.sleep(1)
    os._exit(1)
def handler(event, context):
    if event == "leave": LambdaRuntimeClient.wait_next_invocation = leave
    return event
`);
    expect((await link.invoke("leave")).json).toBe("leave");
    const requestId = link.offer('"taken"');
    await agent.signal("SIGTERM");
    expect((await link.outcome(requestId)).json).toBe("taken");
    expect(await agent.exited).toBe(0);
  });

  test("of a frozen environment is immediate", async () => {
    const { link, agent } = await running(SLOW);
    await until(async () => ((await agent.functionProcesses())[0]?.state === "T" ? true : undefined), "the runtime to be stopped");
    link.send({ type: 9, header: { reason: "idle" } });
    expect(await agent.exited).toBe(0);
  });
});
