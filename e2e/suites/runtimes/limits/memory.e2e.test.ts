/** A function that uses more memory than it has ends as on Lambda, whatever died of it, and the next invocation works. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, eventually, pythonFunction, settledPods } from "../../support/cluster.ts";
import { type Answer, invoke, lambdaClient } from "../../support/lambda.ts";
import { besideNeighbour, NEIGHBOUR_SOURCE } from "./neighbour.ts";

const name = "e2e-limits-memory";
const neighbour = "e2e-limits-memory-beside";
/**
 * Killed as a whole, in environments where nothing was killed before: once the kernel has killed any process in a container, its runtime
 * says of whatever ends it later that it was for its memory, so the gateway then believes nothing of the kind.
 */
const together = "e2e-limits-memory-together";
const MEMORY_SIZE = 256;
const client = lambdaClient(1);
const source = readFileSync(new URL("handlers/abuse.py", import.meta.url), "utf8");

beforeAll(() =>
  applyAndWait(
    pythonFunction(name, source, { memorySize: MEMORY_SIZE, timeout: 30 }),
    pythonFunction(together, source, { memorySize: MEMORY_SIZE, timeout: 30 }),
    pythonFunction(neighbour, NEIGHBOUR_SOURCE, { memorySize: 512 }),
  ),
);
afterAll(() => deleteFunctions(name, together, neighbour));

const abuse = (kind: string, of = name): Promise<Answer> => invoke(client, of, { kind }, { LogType: "Tail" });
const works = async (of = name): Promise<void> => expect((await invoke(client, of, { n: 1 })).payload).toBe(1);
const environments = async (of = name): Promise<string[]> => (await settledPods(of)).map(({ metadata }) => metadata.uid);

function expectOutOfMemory(answer: Answer): void {
  expect(answer).toMatchObject({ status: 200, functionError: "Unhandled", payload: { errorType: "Runtime.OutOfMemory" } });
  expect(answer.payload.errorMessage).toMatch(/^RequestId: [0-9a-f-]{36} Error: Runtime exited with error: signal: killed$/);
  expect(Object.keys(answer.payload).toSorted()).toEqual(["errorMessage", "errorType"]);
}

test("a runtime that uses more than its memory: Runtime.OutOfMemory, and a report that all of it was used", async () => {
  await works();
  const before = await environments();
  const answer = await besideNeighbour(neighbour, () => abuse("overrun"));
  expectOutOfMemory(answer);
  const [line] = answer.log.match(/^REPORT .*$/m) ?? [];
  expect(line).toContain(`Memory Size: ${MEMORY_SIZE} MB\tMax Memory Used: ${MEMORY_SIZE} MB`);
  expect(line).toContain("Error Type: Runtime.OutOfMemory");
  await works();
  // Only the runtime died: the environment started another.
  expect(await environments()).toEqual(before);
});

test("a child that uses more than there is dies alone: its parent sees SIGKILL and answers", async () => {
  const answer = await abuse("overrun_in_child");
  expect(answer).toMatchObject({ status: 200, functionError: undefined, payload: -9 });
  await works();
});

// Three times: what the caller gets must not depend on how fast a node tells what happened.
test.each([1, 2, 3])("an overrun that takes the agent along, as with group kill, has the same answer (%i)", async () => {
  await works(together);
  // Before a pod from the pool has shrunk it is not the kernel that ends an overrun.
  const before = (await settledPods(together, `${MEMORY_SIZE + 64}Mi`)).map(({ metadata }) => metadata.uid);
  expectOutOfMemory(await abuse("overrun_and_kill_all", together));
  await works(together);
  // The answer is there before the dead one's pod is taken away.
  await eventually("another environment is the only one", async () => {
    const after = await environments(together);
    return after.length === 1 && !before.includes(after[0] ?? "") ? true : undefined;
  });
});
