import { waitFor } from "../../cluster/run.ts";
import { apply, kubectl } from "../../suites/support/cluster.ts";
import { answered } from "../load/client.ts";
import { epochMs, NAMESPACE, podSpec, type Site } from "../site.ts";

const NAME = "plain";
const PORT = 8080;
const SCALE = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/${NAME}/scale`;

/** A plain Deployment of a bare server, with a Service before it and no pod. */
export async function plainDeployment({ image }: Site): Promise<void> {
  const labels = { app: NAME };
  await apply(
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: NAME, namespace: NAMESPACE },
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: podSpec(NAME, image, ["serve", String(PORT)]) },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: NAME, namespace: NAMESPACE },
      spec: { selector: labels, ports: [{ port: PORT }] },
    },
  );
}

/** Scales it from 0 to 1 while a request waits for its first answer, and back. @returns milliseconds until the answer */
export async function scaledUp({ api, load }: Site): Promise<number> {
  const address = (await kubectl("get", "service", NAME, "-n", NAMESPACE, "-o", "jsonpath={.spec.clusterIP}")).trim();
  const target = { origin: `http://${address}:${PORT}`, method: "GET", path: "/", headers: {}, body: "" };
  const since = epochMs();
  const [outcome] = await Promise.all([
    load.run({ do: "await", target, pauseMs: 5, limitMs: 60_000 }),
    api.mergePatch(SCALE, { spec: { replicas: 1 } }),
  ]);
  answered(outcome, "a Deployment scaled from 0 to 1");
  await api.mergePatch(SCALE, { spec: { replicas: 0 } });
  await waitFor("the Deployment's pod is gone", 60_000, async () => {
    const { items } = await api.get<{ items: unknown[] }>(`/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=app%3D${NAME}`);
    return items.length === 0 ? true : undefined;
  });
  return outcome.endedAt - since;
}
