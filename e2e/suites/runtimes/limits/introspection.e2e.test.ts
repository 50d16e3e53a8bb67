/** What a function finds around it is what docs/reference/environment.md says, in every runtime. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyAndWait, clusterEnv, deleteFunctions, kubectl, root, settledPods } from "../../support/cluster.ts";
import { invoke, lambdaClient } from "../../support/lambda.ts";
import { differences, rowsOf } from "./environment-table.ts";
import { factsIn, INTROSPECTED, introspectingFunction, placeholders } from "./introspected.ts";

const rows = rowsOf(readFileSync(join(root, "docs/reference/environment.md"), "utf8"));
const nameOf = (runtime: string): string => `e2e-limits-around-${runtime.replaceAll(".", "-")}`;
const client = lambdaClient(1);

beforeAll(async () => applyAndWait(...(await Promise.all(INTROSPECTED.map((runtime) => introspectingFunction(nameOf(runtime), runtime))))));
afterAll(() => deleteFunctions(...INTROSPECTED.map(nameOf)));

test.each(INTROSPECTED)("%s: variables, process, limits, files, network and context are as documented", async (runtime) => {
  const name = nameOf(runtime);
  await invoke(client, name, {});
  const [pod] = await settledPods(name, "576Mi");
  const { payload, functionError } = await invoke(client, name, {});
  expect(functionError, JSON.stringify(payload)).toBeUndefined();
  const account = await kubectl("get", "namespace", "default", "-o", "jsonpath={.metadata.annotations.kappa\\.dev/account-id}");
  const known = placeholders(runtime, { name, region: clusterEnv().AWS_REGION ?? "", account, pod: pod?.metadata.name ?? "" });
  expect(differences(rows, runtime, factsIn(payload), known)).toEqual([]);
});
