/** What a function may use up, and that neither its agent nor its next event is hurt by it. */
import { readdir, readFile } from "node:fs/promises";
import { getPriority } from "node:os";
import { describe, expect, test } from "vitest";
import { type Assignment, FrameType } from "../../operator/src/api/environment-protocol.ts";
import { until } from "./testing/agent-process.ts";
import { memoryCgroup, processCgroup } from "./testing/cgroup.ts";
import { agentHarness } from "./testing/harness.ts";

const { running } = agentHarness();

/** Memory of a process that is no file's, MB: what it takes of its pod's limit. */
async function anonymousMb(pid: number): Promise<number> {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

describe("open files", () => {
  test("are 1,024 for each process of a function, soft and hard", async () => {
    const { link, agent } = await running(`
import resource, subprocess
def handler(event, context):
    files = []
    try:
        while True: files.append(open("/dev/null"))
    except OSError as error: problem = error.strerror
    count = len(files)
    for file in files: file.close()
    return {"limits": limits, "problem": problem, "most": count, "child": subprocess.check_output(["sh", "-c", "ulimit -n"], text=True).strip()}
limits = resource.getrlimit(resource.RLIMIT_NOFILE)
`);
    const { json } = await link.invoke({});
    expect(json).toMatchObject({ limits: [1024, 1024], problem: "Too many open files" });
    expect((json as { most: number }).most).toBeGreaterThan(1000);
    // The agent's own limit is another one.
    const limits = await readFile(`/proc/${await agent.pid()}/limits`, "utf8");
    expect(limits).not.toMatch(/^Max open files +1024 +1024 /m);
  });

  test("of the agent are not used up by connections to the Runtime API", async () => {
    const { link, agent } = await running(`
import os, socket
held = []
def handler(event, context):
    host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
    if event == 0: return len(held)
    try:
        for _ in range(900):
            connection = socket.create_connection((host, int(port)), timeout=5)
            held.append(connection)
    except OSError: pass
    return "tried"
`);
    expect((await link.invoke(1)).json).toBe("tried");
    expect((await readdir(`/proc/${await agent.pid()}/fd`)).length).toBeLessThan(150);
    expect((await link.invoke(0)).json).toEqual(expect.any(Number));
  });
});

describe("a file", () => {
  test("grows no larger than the function's ephemeral storage: the write fails, the function goes on", async () => {
    const { link } = await running(
      `
import os
def handler(event, context):
    try:
        with open(event + "/endless", "wb", buffering=0) as file:
            while file.write(bytes(65536)): pass
    except OSError as error: problem = error.strerror
    return [problem, os.path.getsize(event + "/endless")]
`,
      {},
      { env: { KAPPA_EPHEMERAL_STORAGE_MB: "3" } },
    );
    expect((await link.invoke("..")).json).toEqual(["File too large", 3 * 1024 * 1024]);
  });
});

describe("processors", () => {
  test("are the agent's first: a function and all it starts have the lowest priority", async () => {
    const { link, agent } = await running(`
import os, subprocess
def handler(event, context):
    return [os.nice(0), subprocess.check_output(["nice"], text=True).strip()]
`);
    expect((await link.invoke({})).json).toEqual([19, "19"]);
    expect(getPriority(await agent.pid())).toBe(0);
  });
});

describe("memory", () => {
  test("that an event had used is in its report though the runtime ended in it", async () => {
    const { link } = await running(`
import os, time
def handler(event, context):
    held = bytearray(60_000_000)
    time.sleep(1.5)
    os._exit(len(held) and 1)
`);
    const { result } = await link.invoke({});
    expect(result.errorType).toBe("Runtime.ExitError");
    expect(result.maxMemoryMb).toBeGreaterThanOrEqual(60);
  });

  test("that a child of the function uses up ends the child, not the event", async ({ skip }) => {
    const cgroup = await memoryCgroup(192 * 1024 * 1024);
    if (!cgroup) return skip("this machine lets no memory cgroup be made");
    try {
      const { link, agent } = await running(
        `
import os, subprocess, sys
def handler(event, context):
    if event: return subprocess.call([sys.executable, "-c", "x = bytearray(400_000_000)"])
    return os.getpid()
`,
        {},
        { cgroupProcs: cgroup.procs, env: { KAPPA_CGROUP_ROOT: cgroup.root } },
      );
      const before = (await link.invoke(0)).json;
      const { result, json } = await link.invoke(1);
      expect(json).toBe(-9);
      expect(result.functionError).toBeUndefined();
      expect((await link.invoke(0)).json).toBe(before);
      await agent.stop();
    } finally {
      await cgroup.remove();
    }
  });
});

describe("output without end", () => {
  const SECONDS = 2;
  const writing = (command: string) =>
    `import subprocess\ndef handler(event, context):\n    subprocess.run(["timeout", "${SECONDS}", ${command}])\n`;
  const JSON_LOG = { format: "JSON" as const, group: "g", stream: "s", applicationLevel: "INFO" };
  const IN_JSON: Partial<Assignment> = { logging: JSON_LOG };

  test.each<[string, string, Partial<Assignment>]>([
    ["of short lines", '"yes"', {}],
    ["of short lines, in JSON with a level", '"yes"', IN_JSON],
    ["of long lines", '"yes", "x" * 1000', {}],
    ["without lines", '"cat", "/dev/zero"', {}],
  ])("%s takes little of the agent's memory, and that it is dropped is said once a second", async (_, command, over) => {
    const { link, agent } = await running(writing(command), over);
    const pid = await agent.pid();
    const before = await anonymousMb(pid);
    let most = 0;
    const timer = setInterval(async () => {
      most = Math.max(most, await anonymousMb(pid));
    }, 50);
    const { tail } = await link.invoke({}, { logTail: true }).finally(() => clearInterval(timer));
    // The pod has 64 MiB for the agent, of which it needs 20 before its first event.
    expect(most - before).toBeLessThan(40);
    expect(tail?.length).toBeGreaterThan(4000);
    const dropped = (await agent.output(/REPORT|platform.report/)).match(/LOGS DROPPED|logsDropped/g);
    expect(dropped?.length).toBeGreaterThanOrEqual(1);
    expect(dropped?.length).toBeLessThanOrEqual(SECONDS + 2);
  });
});

describe("processes", () => {
  const BOMB = `
import os, time
def bomb():
    while True:
        try:
            if os.fork() == 0: os.setsid()
        except OSError: time.sleep(0.001)
def handler(event, context):
    if event == "bomb": bomb()
    if event == "bomb and leave":
        if os.fork() == 0: bomb()
        time.sleep(0.3)
        os._exit(1)
    return os.getpid()
`;
  test.each([
    ["the time limit", "bomb", "Sandbox.Timedout"],
    ["the end of the runtime", "bomb and leave", "Runtime.ExitError"],
  ])("that multiply without end end with %s, and the next event works", { timeout: 120_000 }, async (_, event, errorType) => {
    // Without a limit of processes this would take the machine.
    const cgroup = await processCgroup(200);
    if (!cgroup) throw new Error("this machine lets no cgroup for processes be made");
    // Among two hundred that spin it takes a while until the runtime has its turn to leave.
    const { link, agent } = await running(BOMB, { timeout: event === "bomb" ? 2 : 30 }, { cgroupProcs: cgroup.procs });
    try {
      expect((await link.invoke(event)).result).toMatchObject({ errorType, reusable: true });
      expect((await link.invoke("fine")).json).toEqual(expect.any(Number));
      await until(async () => ((await agent.functionProcesses()).length === 1 ? true : undefined), "all but the new runtime to be gone");
      expect(link.received.filter((f) => f.type === FrameType.stateChange && f.header.state === "failed")).toEqual([]);
    } finally {
      await agent.stop();
      await cgroup.remove();
    }
  });
});

describe("/tmp and the folder of the function", () => {
  test("what an event leaves there is there for the next, also after the runtime was started again", async () => {
    const { link } = await running(`
import os
def handler(event, context):
    path = event["folder"] + "/kept"
    seen = os.path.exists(path) and open(path).read()
    open(path, "w").write(event["text"])
    if event.get("exit"): os._exit(1)
    return seen
`);
    const folder = "..";
    expect((await link.invoke({ folder, text: "first" })).json).toBe(false);
    expect((await link.invoke({ folder, text: "second", exit: true })).result.errorType).toBe("Runtime.ExitError");
    expect((await link.invoke({ folder, text: "third" })).json).toBe("second");
  });
});
