/** Pooled pods: what was started before the function is known becomes the function, and nothing of that shows. */
import { chmod, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Assignment, FrameType } from "../../operator/src/api/environment-protocol.ts";
import { type AgentProcess, type AgentProcessOptions, until } from "./testing/agent-process.ts";
import type { AgentLink, TestGateway } from "./testing/gateway.ts";
import { agentHarness } from "./testing/harness.ts";
import { assignmentOf, type TestPackage, zipOf } from "./testing/packages.ts";
import { addPythonZygote, pythonRuntime } from "./testing/python-runtime.ts";

const { gatewayOf, agentOf, running } = agentHarness();
let runtimeRoot: string;

beforeAll(async () => {
  runtimeRoot = await pythonRuntime();
  await addPythonZygote(runtimeRoot);
});
afterAll(async () => await rm(runtimeRoot, { recursive: true, force: true }));

interface Pooled {
  gateway: TestGateway;
  agent: AgentProcess;
  link: AgentLink;
}

async function pooled(over: Partial<AgentProcessOptions> = {}): Promise<Pooled> {
  const gateway = await gatewayOf();
  const env = { KAPPA_POOLED: "1", KAPPA_ZYGOTE_HEAP_MB: "0", ...over.env };
  const agent = await agentOf({ gatewayPort: gateway.port, runtimeRoot, ...over, env });
  return { gateway, agent, link: await gateway.agent() };
}

/** A folder of a runtime that the test may change. */
async function ownRuntime(): Promise<string> {
  const root = await pythonRuntime();
  onTestFinished(async () => await rm(root, { recursive: true }));
  return root;
}

async function told(link: AgentLink, state: string): Promise<void> {
  await link.take((f) => f.type === FrameType.stateChange && f.header.state === state, `the state ${state}`);
}

/** A pooled agent whose zygote is ready. */
async function warm(over: Partial<AgentProcessOptions> = {}): Promise<Pooled & { zygote: number }> {
  const parts = await pooled(over);
  if (parts.link.hello.state === "warming") await told(parts.link, "unassigned");
  const [zygote, ...others] = await parts.agent.functionProcesses();
  expect(others).toEqual([]);
  return { ...parts, zygote: zygote?.pid ?? 0 };
}

async function become(link: AgentLink, source: string, over: Partial<Assignment> = {}): Promise<TestPackage> {
  const code = zipOf({ "app.py": source });
  const { assigned, failed } = await link.assign(assignmentOf(code, over), code.bytes);
  if (!assigned) throw new Error(JSON.stringify(failed));
  return code;
}

const SEEN = `
import os, sys
def handler(event, context):
    return {"env": dict(os.environ), "argv": sys.argv, "path": sys.path, "cwd": os.getcwd(), "stdin": sys.stdin.read(),
            "files": sorted(os.listdir("/proc/self/fd"))[:4], "code": sorted(os.listdir("."))}
`;

const STEPS = `
import os
def handler(event, context):
    if event == "exit": os._exit(1)
    return os.environ.get("MARK")
`;

describe("a zygote", () => {
  test("becomes the function, in the same process and at once", async () => {
    const { link, agent, zygote, gateway } = await warm();
    await become(link, "def handler(event, context):\n    return event\n");
    expect((await link.invoke({ a: 1 })).json).toEqual({ a: 1 });
    expect((await agent.functionProcesses()).map(({ pid }) => pid)).toEqual([zygote]);
    // The package came with the assignment.
    expect(gateway.downloads).toEqual([]);
  });

  test("has as a function what it would have in a process of its own, and nothing that was written or made before is the function's", async () => {
    const over = { environment: { MARK: "yes" } };
    const fresh = await running(SEEN, over, { runtimeRoot });
    const { link, agent } = await warm();
    await become(link, SEEN, over);
    const [one, other] = [await fresh.link.invoke({}), await link.invoke({}, { logTail: true })];
    const seen = (of: typeof one, { folder }: AgentProcess): unknown =>
      JSON.parse(
        of.body
          .toString()
          .replaceAll(folder, "FOLDER")
          .replaceAll(/127\.0\.0\.1:(?!2000)\d+/g, "ADDRESS"),
      );
    expect(seen(other, agent)).toEqual(seen(one, fresh.agent));
    expect(other.tail).toMatch(/^START/);
    expect(await agent.output("REPORT")).not.toContain("loaded the client");
    expect(agent.stderr).toContain('"line":"loaded the client"');
  });

  test("is used once: after its end the function is started in the ordinary way", async () => {
    const { link, agent, zygote } = await warm();
    await become(link, STEPS, { environment: { MARK: "yes" } });
    expect((await link.invoke("exit")).result.errorType).toBe("Runtime.ExitError");
    expect((await link.invoke(null)).json).toBe("yes");
    const [now] = await agent.functionProcesses();
    expect(now?.pid).not.toBe(zygote);
  });

  test.each<[string, Partial<Assignment>]>([
    ["with a variable that acts at the start", { environment: { MARK: "yes", PYTHONHASHSEED: "7" } }],
    ["with another heap than the pool's", { environment: { MARK: "yes" }, memorySize: 256 }],
  ])("is not used for a function %s", async (_, over) => {
    const { link, agent, zygote } = await warm({ env: { KAPPA_ZYGOTE_HEAP_MB: "128" } });
    await become(link, STEPS, over);
    expect((await link.invoke(null)).json).toBe("yes");
    const [now, ...others] = await agent.functionProcesses();
    expect(now?.pid).not.toBe(zygote);
    expect(others).toEqual([]);
  });

  test("that is not ready yet becomes the function when it is", async () => {
    const root = await ownRuntime();
    await addPythonZygote(root, "import time; time.sleep(1)");
    const { link } = await pooled({ runtimeRoot: root });
    expect(link.hello.state).toBe("warming");
    await become(link, STEPS, { environment: { MARK: "yes" } });
    expect((await link.invoke(null)).json).toBe("yes");
  });

  test("in a pod that was made for a function is no reason to wait with the assignment, and is used as soon as it is ready", async () => {
    const root = await ownRuntime();
    await addPythonZygote(root, "import time; time.sleep(1)");
    const { link, agent } = await pooled({ runtimeRoot: root, env: { KAPPA_POOLED: "0" } });
    expect(link.hello.state).toBe("unassigned");
    const [zygote, ...others] = await agent.functionProcesses();
    expect(others).toEqual([]);
    // A folder with the name of the one that stands for it until then.
    const code = zipOf({ "app.py": STEPS, "lib/kept.txt": "" });
    const { assigned } = await link.assign(assignmentOf(code, { environment: { MARK: "yes" } }), code.bytes);
    expect(assigned).toBeDefined();
    expect((await link.invoke(null)).json).toBe("yes");
    expect((await agent.functionProcesses()).map(({ pid }) => pid)).toEqual([zygote?.pid]);
    expect(await readdir(agent.taskRoot)).toEqual(expect.arrayContaining(["app.py", "lib"]));
  });

  test("that ends before it is ready keeps no function waiting, and is not started again beside it", async () => {
    const root = await ownRuntime();
    await writeFile(join(root, "zygote"), "#!/bin/sh\nsleep 2\nexit 3\n");
    await chmod(join(root, "zygote"), 0o755);
    const { link, agent } = await pooled({ runtimeRoot: root, env: { KAPPA_POOLED: "0" } });
    await become(link, STEPS, { environment: { MARK: "yes" } });
    expect((await link.invoke(null)).json).toBe("yes");
    expect(agent.stderr).toContain("will get a process of its own");
    expect(agent.stderr).not.toContain("is started again");
  });

  test("that always ends is given up, and the function gets a process of its own", async () => {
    const root = await ownRuntime();
    await writeFile(join(root, "zygote"), "#!/bin/sh\necho broken\nexit 3\n");
    await chmod(join(root, "zygote"), 0o755);
    const { link, agent } = await pooled({ runtimeRoot: root });
    await told(link, "unassigned");
    expect(agent.stderr.match(/the zygote has ended; it is started again/g)).toHaveLength(2);
    expect(agent.stderr).toContain("will get a process of its own");
    expect(await readdir(agent.taskRoot)).toEqual([]);
    await become(link, STEPS, { environment: { MARK: "yes" } });
    expect((await link.invoke(null)).json).toBe("yes");
  });

  test("ends with its agent, however that ends", async () => {
    const first = await warm();
    first.link.send({ type: FrameType.shutdown, header: { reason: "idle" } });
    expect(await first.agent.exited).toBe(0);
    expect(await first.agent.functionProcesses()).toEqual([]);
    // Without a namespace nothing takes it along: it notices that nobody is at the other end any more.
    const second = await warm({ ownPidNamespace: false });
    await second.agent.signal("SIGKILL");
    await until(async () => ((await second.agent.functionProcesses()).length === 0 ? true : undefined), "the zygote's end");
  });

  test("whose package is not the assigned one never becomes the function", async () => {
    const { link, agent } = await warm();
    const code = zipOf({ "app.py": STEPS });
    const { failed } = await link.assign(assignmentOf(code), zipOf({ "app.py": SEEN }).bytes);
    expect(failed).toMatchObject({ kind: "package", errorType: "InvalidZipFileException" });
    await until(async () => ((await agent.functionProcesses()).length === 0 ? true : undefined), "the zygote's end");
  });
});

describe("in a pod that is larger than the function", () => {
  const MEMORY = `
import mmap, os, time
kept = []
def handler(event, context):
    kept.append(bytearray(event["bytes"]))
    children = []
    for _ in range(event.get("children", 0)):
        pid = os.fork()
        if pid == 0:
            time.sleep(0.6)
            os._exit(0)
        children.append(pid)
    time.sleep(0.5)
    for pid in children: os.waitpid(pid, 0)
    return len(kept)
`;

  test("using more memory than it has ends with Runtime.OutOfMemory, and the next event finds a new runtime", async () => {
    const { link } = await warm();
    await become(link, MEMORY);
    const { result, json } = await link.invoke({ bytes: 400_000_000 });
    expect(result).toMatchObject({ errorType: "Runtime.OutOfMemory", functionError: "Unhandled", maxMemoryMb: 128, reusable: true });
    expect(json).toMatchObject({ errorType: "Runtime.OutOfMemory", errorMessage: expect.stringContaining("signal: killed") });
    expect((await link.invoke({ bytes: 10 })).json).toBe(1);
  });

  test("a child that uses more than there is dies alone, as the kernel would have it", async () => {
    const { link } = await warm();
    await become(
      link,
      `import subprocess, sys
def handler(event, context):
    return subprocess.run([sys.executable, "-c", "import time; kept = bytearray(400_000_000); time.sleep(5)"]).returncode
`,
    );
    expect((await link.invoke(null)).json).toBe(-9);
  });

  test("that has shrunk is left to the kernel", async () => {
    const cgroup = await mkdtemp(join(tmpdir(), "kappa-cgroup-"));
    try {
      await writeFile(join(cgroup, "memory.max"), "2000000000\n");
      const { link } = await warm({ env: { KAPPA_CGROUP_ROOT: cgroup } });
      await become(link, MEMORY);
      await writeFile(join(cgroup, "memory.max"), "200000000\n");
      expect((await link.invoke({ bytes: 400_000_000 })).json).toBe(1);
    } finally {
      await rm(cgroup, { recursive: true });
    }
  });

  test("using too much while it starts does too", async () => {
    const { link } = await warm();
    const code = zipOf({ "app.py": "import time\nkept = bytearray(400_000_000)\ntime.sleep(2)\n" });
    const { assigned } = await link.assign(assignmentOf(code), code.bytes);
    expect(assigned?.initError).toMatchObject({ errorType: "Runtime.OutOfMemory" });
  });

  test("memory that its processes share counts once", async () => {
    const { link } = await warm();
    await become(link, MEMORY);
    expect((await link.invoke({ bytes: 60_000_000, children: 4 })).json).toBe(1);
  });
});
