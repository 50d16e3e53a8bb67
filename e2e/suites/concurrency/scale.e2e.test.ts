/** Many functions and versions: all answer, at what cost, and how soon a controller that starts anew is ready. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { measuredCommit } from "../../../scripts/commit.ts";
import { type Account, makeAccount, removeAccount } from "../support/account.ts";
import { applyMany, eventually, FULL, kubectl, kubectlJson, pods, root } from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";
import { scrape, sumOf } from "../support/metrics.ts";

const namespace = "e2e-scale";
const FUNCTIONS = FULL ? 1_000 : 60;
const VERSIONS_EACH = 5;
const INVOKED = FULL ? 100 : 20;
const READY_SECONDS = 10;
const SOURCE = "def handler(event, context):\n    return [context.function_name, context.function_version]\n";
const names = Array.from({ length: FUNCTIONS }, (_, i) => `e2e-scale-${i}`);
const figures: string[] = [];
let account: Account;

const functionOf = (name: string): object => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Function",
  metadata: { name, namespace },
  spec: { runtime: "python3.11", handler: "index.handler", code: { inline: SOURCE } },
});

/** A version as a backup restores it: whole, with its number. */
const versionOf = (name: string, version: number, code: { sha256: string; size: number }): object => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Version",
  metadata: { name: `${name}-v${version}`, namespace },
  spec: {
    functionName: name,
    version,
    description: `edition ${version}`,
    code: { package: code },
    runtime: "python3.11",
    handler: "index.handler",
    memorySize: 128,
    timeout: 3 + version,
    ephemeralStorage: { size: 512 },
    role: "default",
    architectures: ["x86_64"],
    loggingConfig: { logFormat: "Text" },
    tracingConfig: { mode: "PassThrough" },
    environment: { variables: {} },
  },
});

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const value = await work();
  figures.push(`${what}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return value;
}

/** Memory and CPU time of each pod of a component, as its own metrics say. */
async function usage(when: string): Promise<{ rss: number[] }> {
  const rss: number[] = [];
  for (const component of ["controller", "gateway"]) {
    for (const [pod, text] of await scrape(component)) {
      const bytes = sumOf(text, "process_resident_memory_bytes");
      const cpu = sumOf(text, "process_cpu_seconds_total");
      figures.push(`${when}: ${pod}: ${Math.round(bytes / 2 ** 20)} MiB resident, ${cpu.toFixed(1)} s of CPU since its start`);
      rss.push(bytes);
    }
  }
  return { rss };
}

beforeAll(async () => {
  account = await makeAccount(namespace);
});
afterAll(async () => {
  console.log(figures.join("\n"));
  if (FULL) {
    const { commit, changed } = measuredCommit();
    const head = `# Scale: ${FUNCTIONS} functions, ${FUNCTIONS * VERSIONS_EACH} versions\n\n${new Date().toISOString().slice(0, 10)}, commit ${commit}${changed ? " and uncommitted changes" : ""}\n\n`;
    writeFileSync(join(root, "e2e/suites/results/scale.md"), `${head}${figures.map((line) => `- ${line}`).join("\n")}\n`);
  }
  await removeAccount(namespace);
}, 900_000);

test(`${FUNCTIONS} functions and ${FUNCTIONS * VERSIONS_EACH} versions become ready`, { timeout: 1_800_000 }, async () => {
  await usage("before");
  await timed("functions applied", () => applyMany(names.map(functionOf)));
  await timed("and ready", () => kubectl("wait", "--for=condition=Ready", "--timeout=230s", "-n", namespace, "function", "--all"));
  const first = await kubectlJson<{ status: { effective: { packageSha256: string; codeSize: number } } }>(
    "get",
    "function",
    "-n",
    namespace,
    names[0] ?? "",
  );
  const code = { sha256: first.status.effective.packageSha256, size: first.status.effective.codeSize };
  const versions = names.flatMap((name) => Array.from({ length: VERSIONS_EACH }, (_, i) => versionOf(name, i + 1, code)));
  await timed("versions applied", () => applyMany(versions));
  await timed("and ready", () =>
    eventually(
      "every version is ready",
      async () => {
        const path = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}';
        const states = (await kubectl("get", "versions", "-n", namespace, "-o", `jsonpath=${path}`)).trim().split("\n");
        return states.length === versions.length && states.every((state) => state === "True") ? true : undefined;
      },
      600_000,
    ),
  );
  await usage("ready");
});

test(`${INVOKED} of them, over all versions, answer`, { timeout: 900_000 }, async () => {
  const client = lambdaClient();
  const chosen = Array.from({ length: INVOKED }, (_, i) => names[Math.floor((i * FUNCTIONS) / INVOKED)] ?? "");
  await timed(`${INVOKED} first invocations, four at a time`, async () => {
    const left = [...chosen.entries()];
    const caller = async () => {
      for (let next = left.shift(); next; next = left.shift()) {
        const [i, name] = next;
        const version = i % (VERSIONS_EACH + 1) === 0 ? "$LATEST" : String(i % (VERSIONS_EACH + 1));
        const { payload } = await invoke(client, account.arn(name, version), {});
        expect(payload).toEqual([name, version]);
      }
    };
    await Promise.all(Array.from({ length: 4 }, caller));
  });
  await usage("invoked");
});

test(`a controller that starts anew is ready within ${READY_SECONDS} s`, { timeout: 300_000 }, async () => {
  const selector = "app.kubernetes.io/name=kappa,app.kubernetes.io/component=controller";
  const before = new Set((await pods("kappa-system", selector)).map(({ metadata }) => metadata.uid));
  await kubectl("delete", "pods", "-n", "kappa-system", "-l", selector, "--wait=false");
  interface Started {
    metadata: { uid: string; name: string };
    status: {
      conditions?: { type: string; status: string; lastTransitionTime: string }[];
      containerStatuses?: { state?: { running?: { startedAt: string } } }[];
    };
  }
  const started = await eventually("the new ones are ready", async () => {
    const { items } = await kubectlJson<{ items: Started[] }>("get", "pods", "-n", "kappa-system", "-l", selector);
    const fresh = items.filter(({ metadata }) => !before.has(metadata.uid));
    const ready = fresh.filter(({ status }) => status.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"));
    return ready.length >= before.size ? ready : undefined;
  });
  for (const { metadata, status } of started) {
    const startedAt = Date.parse(status.containerStatuses?.[0]?.state?.running?.startedAt ?? "");
    const readyAt = Date.parse(status.conditions?.find(({ type }) => type === "Ready")?.lastTransitionTime ?? "");
    figures.push(`${metadata.name}: ready ${(readyAt - startedAt) / 1000} s after its process started`);
    // P9; Kubernetes counts in whole seconds, so one of them may be rounding.
    expect((readyAt - startedAt) / 1000).toBeLessThanOrEqual(READY_SECONDS + 1);
  }
});
