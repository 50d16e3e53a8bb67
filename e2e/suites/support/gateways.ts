/** Every gateway by itself, as the Service in front of them never shows: its API on a port of the loopback, and what it counts. */
import { LambdaClient } from "@aws-sdk/client-lambda";
import { clusterEnv, eventually, pods } from "./cluster.ts";
import { invoke } from "./lambda.ts";
import { sumOf } from "./metrics.ts";
import { withPortForward } from "./port-forward.ts";

export interface Gateway {
  pod: string;
  /** Makes one attempt and waits as long as it takes. */
  client: LambdaClient;
  /** The sum of a metric's samples that carry all these labels, each as `name="value"`. */
  metric(name: string, ...labels: string[]): Promise<number>;
}

/** Gives every running gateway to `use`. */
export async function withGateways<T>(use: (gateways: Gateway[]) => Promise<T>): Promise<T> {
  const running = (await pods("kappa-system", "app.kubernetes.io/name=kappa,app.kubernetes.io/component=gateway")).filter(
    ({ metadata, status }) => metadata.deletionTimestamp === undefined && status.phase === "Running",
  );
  return await reach(
    running.map(({ metadata }) => metadata.name),
    [],
    use,
  );
}

async function reach<T>(names: string[], reached: Gateway[], use: (gateways: Gateway[]) => Promise<T>): Promise<T> {
  const [name, ...others] = names;
  if (name === undefined) return await use(reached);
  const target = `pod/${name}`;
  return await withPortForward("kappa-system", target, 8080, (api) =>
    withPortForward("kappa-system", target, 9090, async (metrics) => {
      const url = `http://127.0.0.1:${metrics}/metrics`;
      await eventually(`${name} is reached`, async () => {
        await (await fetch(`http://127.0.0.1:${api}/`)).body?.cancel();
        return (await fetch(url)).text();
      });
      const gateway = {
        pod: name,
        client: clientOf(api),
        metric: async (metric: string, ...labels: string[]) => sumOf(await (await fetch(url)).text(), metric, ...labels),
      };
      return await reach(others, [...reached, gateway], use);
    }),
  );
}

function clientOf(port: number): LambdaClient {
  const { AWS_REGION: region = "", AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "" } = clusterEnv();
  return new LambdaClient({ endpoint: `http://127.0.0.1:${port}`, region, credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1 });
}

/** Which gateway owns a function and runs its events, and one that has to forward them. Invokes the function once at each. */
export async function ownerAndOther(gateways: readonly Gateway[], functionName: string): Promise<{ owner: Gateway; other: Gateway }> {
  const ran = (gateway: Gateway) => gateway.metric("kappa_invocations_total", `function="${functionName}"`);
  const before = await Promise.all(gateways.map(ran));
  for (const { client } of gateways) await invoke(client, functionName, {});
  const after = await Promise.all(gateways.map(ran));
  const owner = gateways.find((_, i) => (after[i] ?? 0) - (before[i] ?? 0) === gateways.length);
  const other = gateways.find((gateway) => gateway !== owner);
  if (owner === undefined || other === undefined)
    throw new Error(`no single owner of ${functionName} among ${gateways.length} gateways: ${before} invocations became ${after}`);
  return { owner, other };
}
