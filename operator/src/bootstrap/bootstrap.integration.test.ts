/** The bootstrap job against a real API server, with exactly the rights that the chart gives it. */
import { beforeAll, describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { NAMESPACE, type Rendered, renderChart } from "../../images/testing/chart.ts";
import { kubectl, useApiServer } from "../../testing/index.ts";
import { publicKeyOf } from "../bus/nkeys.ts";
import { KubeClient } from "../kube/index.ts";
import { runBootstrap } from "./index.ts";
import { CREDENTIALS } from "./plan.ts";

const server = useApiServer();
const silent = { info: () => {} };
const SECRETS = [...Object.keys(CREDENTIALS), "kappa-nats-server"];

let objects: Rendered[];
let client: KubeClient;

const run = async (args: string[], input = ""): Promise<string> => {
  const { code, stdout, stderr } = await kubectl(server().kubeconfigPath, args, input);
  expect(stderr, args.join(" ")).toBe("");
  expect(code, args.join(" ")).toBe(0);
  return stdout;
};
const apply = (selected: Rendered[]): Promise<string> =>
  run(["apply", "--server-side", "-f", "-"], selected.map((object) => stringify(object)).join("---\n"));
const bootstrap = (): Promise<void> => runBootstrap({ client, log: silent }, { namespace: NAMESPACE });

interface Stored {
  metadata: { name: string; resourceVersion: string };
  data: Record<string, string>;
}
const secrets = async (): Promise<Record<string, Stored>> => {
  const { items } = JSON.parse(await run(["get", "secrets", "-n", NAMESPACE, "-o", "json"])) as { items: Stored[] };
  return Object.fromEntries(items.map((item) => [item.metadata.name, item]));
};
const text = (secret: Stored | undefined, key: string): string => Buffer.from(secret?.data[key] ?? "", "base64").toString("utf8");
const annotation = async (workload: string): Promise<string> =>
  (await run(["get", workload, "-n", NAMESPACE, "-o", "jsonpath={.spec.template.metadata.annotations.kappa\\.dev/credentials}"])).trim();

const WORKLOADS = ["statefulset/kappa-nats", "deployment/kappa-controller", "deployment/kappa-gateway"];

beforeAll(async () => {
  objects = await renderChart();
  await run(["create", "namespace", NAMESPACE]);
  const isHook = (object: Rendered): boolean => object.metadata.annotations?.["helm.sh/hook"] !== undefined;
  await apply(objects.filter((object) => isHook(object) && object.kind !== "Job"));
  const token = (await run(["create", "token", "kappa-bootstrap", "-n", NAMESPACE])).trim();
  client = KubeClient.fromKubeconfig(server().kubeconfigFor(token));
});

describe("on a first install", () => {
  test("two jobs at once agree on one set of credentials", async () => {
    await Promise.all([bootstrap(), bootstrap()]);
    const found = await secrets();
    expect(Object.keys(found).toSorted()).toEqual(SECRETS.toSorted());
    const accounts = text(found["kappa-nats-server"], "auth.conf");
    for (const [name, key] of [
      ["kappa-nats-controller", "seed"],
      ["kappa-nats-controller", "user-seed"],
      ["kappa-nats-gateway", "seed"],
      ["kappa-nats-user-admin", "seed"],
    ] as const)
      expect(accounts, `${name} ${key}`).toContain(publicKeyOf(text(found[name], key)) ?? "no key");
    expect(text(found["kappa-peers"], "secret")).toHaveLength(43);
  });

  test("nothing is made that is not asked for", async () => {
    expect(JSON.parse(await run(["get", "deployments,statefulsets", "-n", NAMESPACE, "-o", "json"]))).toMatchObject({ items: [] });
  });
});

describe("on an upgrade", () => {
  beforeAll(async () => {
    await apply(objects.filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet"));
  });

  test("that needs nothing new, nothing is written and nothing restarts", async () => {
    const before = await secrets();
    await bootstrap();
    expect(await secrets()).toEqual(before);
    for (const workload of WORKLOADS) expect(await annotation(workload), workload).toBe("");
  });

  test("after a Secret was deleted, a new one is made, the accounts follow, and all that read them restart once", async () => {
    const before = await secrets();
    await run(["delete", "secret", "kappa-nats-gateway", "-n", NAMESPACE]);
    await bootstrap();
    const after = await secrets();
    expect(text(after["kappa-nats-gateway"], "seed")).not.toBe(text(before["kappa-nats-gateway"], "seed"));
    expect(after["kappa-nats-controller"]).toEqual(before["kappa-nats-controller"]);
    expect(text(after["kappa-nats-server"], "auth.conf")).toContain(publicKeyOf(text(after["kappa-nats-gateway"], "seed")) ?? "no key");
    const revisions = await Promise.all(WORKLOADS.map(annotation));
    expect(revisions[0]).toMatch(/^[0-9a-f]{16}$/);
    expect(new Set(revisions).size).toBe(1);
    await bootstrap();
    expect(await Promise.all(WORKLOADS.map(annotation))).toEqual(revisions);
  });

  test("that was interrupted after the accounts were written, the restart is made up for", async () => {
    const revision = await annotation("statefulset/kappa-nats");
    await run(["delete", "secret", "kappa-peers", "-n", NAMESPACE]);
    const interrupted: Pick<KubeClient, "get" | "create" | "apply"> = {
      get: (...args: Parameters<KubeClient["get"]>) => client.get(...args),
      create: (...args: Parameters<KubeClient["create"]>) => client.create(...args),
      apply: async (resource, object, options) => {
        if (resource.kind === "StatefulSet") throw new Error("killed");
        return client.apply(resource, object, options);
      },
    } as KubeClient;
    await expect(runBootstrap({ client: interrupted, log: silent }, { namespace: NAMESPACE })).rejects.toThrow("killed");
    expect(await annotation("statefulset/kappa-nats")).toBe(revision);
    await bootstrap();
    const revisions = await Promise.all(WORKLOADS.map(annotation));
    expect(new Set(revisions).size).toBe(1);
    expect(revisions[0]).not.toBe(revision);
  });

  test("by helm, the annotation stays, because helm does not own it", async () => {
    const revision = await annotation("deployment/kappa-gateway");
    const upgraded = await renderChart({ gateway: { replicas: 3 } });
    await apply(upgraded.filter(({ kind }) => kind === "Deployment"));
    expect(await annotation("deployment/kappa-gateway")).toBe(revision);
  });
});

test("a Secret that holds something else is refused with its name, and left alone", async () => {
  await run(["patch", "secret", "kappa-nats-user-admin", "-n", NAMESPACE, "--type=merge", "-p", '{"stringData":{"seed":"not a seed"}}']);
  await expect(bootstrap()).rejects.toThrow(/kappa-nats-user-admin.*'seed'.*Delete the Secret/);
  expect(text((await secrets())["kappa-nats-user-admin"], "seed")).toBe("not a seed");
});
