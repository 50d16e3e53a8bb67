/**
 * A function that uses up what there is – processes, /tmp, open files, its log – harms its own environment only: neighbours keep
 * their latency, their pods and their nodes, and the next invocation works.
 */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { execOnNode } from "../../../cluster/index.ts";
import { applyAndWait, deleteFunctions, eventually, FULL, type Pod, pythonFunction, settledPods } from "../../support/cluster.ts";
import { type Answer, invoke, lambdaClient } from "../../support/lambda.ts";
import { besideNeighbour, NEIGHBOUR_SOURCE } from "./neighbour.ts";

const name = "e2e-limits-abuse";
const filler = "e2e-limits-fill";
const neighbour = "e2e-limits-abuse-beside";
const TIMEOUT_SECONDS = 5;
const client = lambdaClient(1);
const source = readFileSync(new URL("handlers/abuse.py", import.meta.url), "utf8");

beforeAll(() =>
  applyAndWait(
    // Memory for more than 1,088 Python processes.
    pythonFunction(name, source, { memorySize: 1769, timeout: TIMEOUT_SECONDS }),
    pythonFunction(filler, source, { memorySize: 512, timeout: 120 }),
    pythonFunction(neighbour, NEIGHBOUR_SOURCE, { memorySize: 512 }),
  ),
);
afterAll(() => deleteFunctions(name, filler, neighbour));

const abuse = (kind: string, event: object = {}): Promise<Answer> => invoke(client, name, { kind, ...event }, { LogType: "Tail" });
const works = async (): Promise<void> => expect((await invoke(client, name, { n: 1 })).payload).toBe(1);

function expectTimeout(answer: Answer): void {
  expect(answer).toMatchObject({ status: 200, functionError: "Unhandled", payload: { errorType: "Sandbox.Timedout" } });
  expect(answer.payload.errorMessage).toMatch(/^RequestId: [0-9a-f-]{36} Error: Task timed out after 5\.00 seconds$/);
  expect(answer.log).toContain("Task timed out after 5.00 seconds");
  expect(answer.log).toMatch(/^REPORT .*\tStatus: timeout$/m);
}

async function onlyPod(functionName: string): Promise<Pod> {
  const [pod, ...others] = await settledPods(functionName);
  expect(others).toEqual([]);
  if (pod === undefined) throw new Error(`${functionName} has no pod`);
  return pod;
}

test("a function gets Lambda's 1,024 processes and hardly more, then EAGAIN, and can go on", async () => {
  const { payload } = await abuse("processes");
  expect(payload).toMatchObject({ refused: "EAGAIN", after: 0 });
  expect(payload.children).toBeGreaterThan(1_000);
  // What the kubelet allows the whole pod: Lambda's 1,024, and 64 for what is not the function's.
  expect(payload.children).toBeLessThanOrEqual(1_088);
  await works();
});

test("a fork bomb ends with its time-out, every process of it is killed, and the next invocation works", async () => {
  await works();
  expectTimeout(await besideNeighbour(neighbour, () => abuse("fork_bomb")));
  await works();
  // A thousand killed processes need their time to end, on a processor of their pod's that others want as well.
  await eventually("none of the bomb's processes is left", async () => ((await abuse("mine")).payload === 0 ? true : undefined), 30_000);
});

test("a function opens 1,024 files, is refused more with EMFILE, and can go on", async () => {
  const { payload } = await besideNeighbour(neighbour, () => abuse("open_files", { files: 10_000 }));
  expect(payload).toMatchObject({ refused: "EMFILE", limit: [1_024, 1_024] });
  // Standard streams, the client's connection and whatever the language keeps open count as well.
  expect(payload.opened).toBeGreaterThan(1_000);
  await works();
});

test("a function that fills /tmp loses its environment, gets an answer, and leaves the disk as it was", async () => {
  await invoke(client, filler, {});
  const pod = await onlyPod(filler);
  const megabytes = FULL ? 10_240 : 768;
  const outcome = await besideNeighbour(neighbour, () =>
    invoke(client, filler, { kind: "fill_tmp", megabytes }).then(
      (answer) => answer.functionError,
      (error: Error) => error.name,
    ),
  );
  // Not ENOSPC inside the function: the kubelet measures volumes from time to time and evicts (docs/reference/environment.md).
  expect(["Unhandled", "ServiceException"]).toContain(outcome);
  const next = await invoke(client, filler, { kind: "tmp_entries" });
  expect(next).toMatchObject({ functionError: undefined, payload: [] });
  await eventually("another environment is the only one", async () => {
    const living = (await settledPods(filler)).map(({ metadata }) => metadata.uid);
    return living.length === 1 && living[0] !== pod.metadata.uid ? true : undefined;
  });
  const volume = `/var/lib/kubelet/pods/${pod.metadata.uid}/volumes/kubernetes.io~empty-dir/tmp`;
  await eventually("the node has its disk back", async () => {
    const { exitCode } = await execOnNode(pod.spec.nodeName ?? "", ["test", "-e", volume]);
    return exitCode === 1 ? true : undefined;
  });
});

/**
 * Bytes, and notes of dropped lines, in a node's log since an event began. Read from its files, rotated ones included: the API server
 * shows the last file only, and sending all of it there while it is written would take the processors that the neighbour is to have.
 */
async function logOf(pod: Pod, requestId: string): Promise<{ bytes: number; dropped: number }> {
  const log = `/var/log/pods/default_${pod.metadata.name}_${pod.metadata.uid}/environment/0.log`;
  const count = `/START RequestId: ${requestId}/ { on = 1 } on { bytes += length } /LOGS DROPPED RequestId: ${requestId}/ { dropped++ } END { printf "%d %d", bytes, dropped }`;
  // The oldest first: rotated files end in their time.
  const script = `for file in $(ls ${log}.* 2>/dev/null) ${log}; do zcat -f "$file" || exit 1; done | LC_ALL=C awk '${count}'`;
  const { stdout, stderr } = await execOnNode(pod.spec.nodeName ?? "", ["sh", "-c", script]);
  const [, bytes, dropped] = /^(\d+) (\d+)$/.exec(stdout) ?? [];
  if (bytes === undefined) throw new Error(`the log of ${pod.metadata.name} cannot be read on its node: ${stderr}`);
  return { bytes: Number(bytes), dropped: Number(dropped) };
}

/** Where the node shows the agent of a pod: it is the one child of the container's first process. */
async function agentOnNode(pod: Pod): Promise<{ node: string; status: string }> {
  const node = pod.spec.nodeName ?? "";
  const container = pod.status.containerStatuses?.[0]?.containerID?.replace("containerd://", "") ?? "";
  const tasks = (await execOnNode(node, ["ctr", "-n", "k8s.io", "tasks", "list"])).stdout;
  const [, init] = new RegExp(`^${container}\\s+(\\d+)`, "m").exec(tasks) ?? [];
  const [agent] = (await execOnNode(node, ["cat", `/proc/${init}/task/${init}/children`])).stdout.split(" ");
  return { node, status: `/proc/${agent}/status` };
}

/** MiB of memory of its own that it has. Asked of the node: a process in the pod would be killed with the function's. */
async function agentMemory({ node, status }: { node: string; status: string }): Promise<number> {
  const { stdout } = await execOnNode(node, ["cat", status]);
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(stdout)?.[1]) / 1024;
}

/** Milliseconds between two looks at the agent's memory. */
const SAMPLE_MS = 1_000;
/** MiB that a pod has for its agent beside the function's memory (the chart's agent.memoryMiB). */
const AGENT_ALLOWANCE = 64;
const MIB = 1024 * 1024;

test.each(["print_endlessly", "print_without_line_ends"])(
  "endless output (%s) ends with the time-out; the log has a rate, and the agent its size",
  async (kind) => {
    await works();
    const pod = await onlyPod(name);
    const agent = await agentOnNode(pod);
    const memory: number[] = [];
    let over = false;
    const sample = async (): Promise<void> => {
      while (!over) {
        memory.push(await agentMemory(agent));
        await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
      }
    };
    const abused = besideNeighbour(neighbour, () => abuse(kind)).finally(() => {
      over = true;
    });
    const [answer] = await Promise.all([abused, sample()]);

    expectTimeout(answer);
    const { bytes, dropped } = await logOf(pod, answer.payload.errorMessage.split(" ")[1]);
    // A burst of 8 MiB, then 2 MiB a second; with what agent and node write before each line of 200 bytes (request id, times) twice that at most.
    expect(bytes).toBeLessThan((8 + 2 * TIMEOUT_SECONDS) * MIB * 2);
    expect(bytes).toBeGreaterThan(MIB);
    expect(dropped).toBeGreaterThan(0);
    expect(dropped).toBeLessThan(2 * TIMEOUT_SECONDS + 5);
    expect(memory.length).toBeGreaterThan(2);
    expect(Math.max(...memory), `the agent's own memory over time, MiB: ${memory.map(Math.round)}`).toBeLessThan(AGENT_ALLOWANCE);
    await works();
    expect((await onlyPod(name)).metadata.uid).toBe(pod.metadata.uid);
  },
);
