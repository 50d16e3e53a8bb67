/** The real agent with functions that bring their own runtime, against a gateway that speaks the protocol. */
import { chmod, copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type AgentProcess, startAgent } from "../agent/testing/agent-process.ts";
import { startTestGateway, type TestGateway } from "../agent/testing/gateway.ts";
import { assignmentOf, type TestFile, zipOf } from "../agent/testing/packages.ts";

let runtimeRoot: string;
const gateways: TestGateway[] = [];
const agents: AgentProcess[] = [];

beforeAll(async () => {
  runtimeRoot = await mkdtemp(join(tmpdir(), "kappa-provided-"));
  await copyFile(join(import.meta.dirname, "bootstrap"), join(runtimeRoot, "bootstrap"));
  await chmod(join(runtimeRoot, "bootstrap"), 0o755);
});
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.stop()));
  await Promise.all(gateways.splice(0).map((gateway) => gateway.kill()));
});
afterAll(() => rm(runtimeRoot, { recursive: true, force: true }));

async function assigned(files: Record<string, TestFile>) {
  const code = zipOf(files);
  const gateway = await startTestGateway();
  gateways.push(gateway);
  gateway.packages.set(code.sha256, code.bytes);
  const agent = await startAgent({ runtimeRoot, gatewayPort: gateway.port, env: { KAPPA_RUNTIME: "provided.al2023" } });
  agents.push(agent);
  const link = await gateway.agent();
  return { agent, link, ...(await link.assign(assignmentOf(code, { handler: "hello.handler" }))) };
}

const executable = (content: string): TestFile => ({ content, mode: 0o100755 });

/** A runtime of ten lines, as Lambda's tutorial has it. */
const ECHO = `#!/bin/sh
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime
while true; do
  event=$(curl --silent --dump-header /tmp/headers-$$ $api/invocation/next)
  id=$(sed -n 's/^lambda-runtime-aws-request-id: \\([^\\r]*\\).*/\\1/Ip' /tmp/headers-$$)
  rm /tmp/headers-$$
  echo "event $id"
  curl --silent --data "{\\"event\\":$event,\\"handler\\":\\"$_HANDLER\\",\\"folder\\":\\"$(pwd)\\"}" $api/invocation/$id/response
done
`;

test("a shell script can be a function's runtime", async () => {
  const { agent, link, assigned: done } = await assigned({ bootstrap: executable(ECHO) });
  expect(done).toBeDefined();
  for (const event of [{ n: 1 }, { n: 2 }])
    expect((await link.invoke(event)).json).toEqual({ event, handler: "hello.handler", folder: agent.taskRoot });
});

/** Header of a program for a processor that nobody has: ELF, 64 bit, Motorola 68000. */
const FOREIGN = Buffer.from(`7f454c46020101${"00".repeat(9)}02000400${"00".repeat(44)}`, "hex").toString("latin1");

test.each<[string, Record<string, TestFile>, string]>([
  ["is not there", { "other.sh": executable(ECHO) }, "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"],
  ["is a folder", { "bootstrap/file": "" }, "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"],
  ["is not executable", { bootstrap: ECHO }, "fork/exec /var/task/bootstrap: permission denied"],
  ["is no program", { bootstrap: executable("echo hello\n") }, "fork/exec /var/task/bootstrap: exec format error"],
  ["is empty", { bootstrap: executable("") }, "fork/exec /var/task/bootstrap: exec format error"],
  ["is for another processor", { bootstrap: executable(FOREIGN) }, "fork/exec /var/task/bootstrap: exec format error"],
  ["has no interpreter", { bootstrap: executable("#!/absent/sh\n") }, "fork/exec /var/task/bootstrap: no such file or directory"],
])("a bootstrap that %s is told as Lambda tells it", async (_why, files, reason) => {
  const { agent, link } = await assigned(files);
  const { result, body } = await link.invoke({});
  expect(result).toMatchObject({ functionError: "Unhandled", errorType: "Runtime.InvalidEntrypoint", reusable: true });
  // The folder is another one in tests only.
  const { errorType, errorMessage } = JSON.parse(body.toString().replaceAll(agent.taskRoot, "/var/task"));
  expect({ errorType, errorMessage }).toEqual({
    errorType: "Runtime.InvalidEntrypoint",
    errorMessage: `RequestId: ${result.requestId} Error: ${reason}`,
  });
});

test("a bootstrap that ends before it asks for an event fails as on Lambda", async () => {
  const { link } = await assigned({ bootstrap: executable("#!/bin/sh\nexit 7\n") });
  const { result, json } = await link.invoke({});
  expect(json).toEqual({
    errorType: "Runtime.ExitError",
    errorMessage: `RequestId: ${result.requestId} Error: Runtime exited with error: exit status 7`,
  });
});
