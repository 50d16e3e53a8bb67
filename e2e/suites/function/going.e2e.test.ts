/** A namespace goes, with everything in it. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { makeAccount } from "../support/account.ts";
import { apply, environmentPods, eventually, kubectl } from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";

const namespace = "e2e-going";
const SLEEPER = "import time\ndef handler(event, context):\n    time.sleep(event['s'])\n    return 'slept'\n";

test("a namespace is deleted while an event runs: the event is answered, and the namespace gone soon after", {
  timeout: 400_000,
}, async () => {
  const account = await makeAccount(namespace);
  await apply({
    apiVersion: "kappa.dev/v1alpha1",
    kind: "Function",
    metadata: { name: "sleeper", namespace },
    spec: { runtime: "python3.11", handler: "index.handler", timeout: 60, code: { inline: SLEEPER } },
  });
  await kubectl("wait", "--for=condition=Ready", "--timeout=120s", "-n", namespace, "function/sleeper");
  const answer = invoke(lambdaClient(1), account.arn("sleeper"), { s: 15 });
  answer.catch(() => {});
  await eventually("its environment is there", async () => (await environmentPods("sleeper", namespace))[0]);
  await sleep(2_000);
  const since = performance.now();
  // By itself Kubernetes would look after it again after half of its pods' grace period of 930 s, or at its resync every five minutes.
  await kubectl("delete", "namespace", namespace, "--wait=true", "--timeout=90s");
  console.log(`the namespace was gone after ${((performance.now() - since) / 1000).toFixed(1)} s`);
  expect(await answer).toMatchObject({ payload: "slept" });
});
