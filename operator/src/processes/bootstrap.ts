import { runBootstrap } from "../bootstrap/index.ts";
import { bootstrapSettings } from "../config.ts";
import { KubeClient } from "../kube/index.ts";
import { createLogger } from "../telemetry/log.ts";

/** Runs the chart's hook to its end. */
export async function bootstrap(env: NodeJS.ProcessEnv): Promise<undefined> {
  const settings = bootstrapSettings(env);
  const log = createLogger({ component: "bootstrap", level: settings.LOG_LEVEL });
  const client = KubeClient.inCluster({
    host: settings.KUBERNETES_SERVICE_HOST,
    port: settings.KUBERNETES_SERVICE_PORT,
    userAgent: "kappa-bootstrap",
  });
  await runBootstrap({ client, log }, { namespace: settings.POD_NAMESPACE });
  await client.close();
}
