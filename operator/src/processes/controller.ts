import { connectBus, connectUserBus } from "../bus/index.ts";
import { controllerSettings, environmentSettings } from "../config.ts";
import { startControllers } from "../controllers/index.ts";
import { EventRecorder, KubeClient, systemClock } from "../kube/index.ts";
import { createControllerMetrics } from "../telemetry/controller-metrics.ts";
import { createLogger } from "../telemetry/log.ts";
import { startTelemetryServer } from "../telemetry/server.ts";
import type { Process } from "./process.ts";

/** Starts the operator. */
export async function controller(env: NodeJS.ProcessEnv): Promise<Process> {
  const settings = controllerSettings(env);
  const log = createLogger({ component: "controller", level: settings.LOG_LEVEL, instance: settings.POD_NAME });
  const metrics = createControllerMetrics();
  const client = KubeClient.inCluster({
    host: settings.KUBERNETES_SERVICE_HOST,
    port: settings.KUBERNETES_SERVICE_PORT,
    userAgent: "kappa-controller",
    onRequest: metrics.apiRequest,
  });
  const nats = { servers: settings.KAPPA_NATS_URL, name: settings.POD_NAME, onStatus: (status: object) => log.info(status, "NATS") };
  const bus = await connectBus({ ...nats, seed: settings.KAPPA_NATS_SEED_FILE });
  const userBus = await connectUserBus({ ...nats, seed: settings.KAPPA_NATS_USER_SEED_FILE });
  const events = new EventRecorder(client, {
    reportingController: "kappa.dev/controller",
    reportingInstance: settings.POD_NAME,
    onError: (error) => log.warn({ err: error }, "an event could not be recorded"),
  });
  const controllers = startControllers(
    { client, packages: bus.packages, userObjects: userBus, events, metrics, clock: systemClock, log },
    {
      instance: settings.POD_NAME,
      namespace: settings.POD_NAMESPACE,
      region: settings.KAPPA_REGION,
      workers: settings.KAPPA_WORKERS,
      images: settings.KAPPA_RUNTIME_IMAGES,
      environment: environmentSettings(settings),
      accountConcurrency: settings.KAPPA_ACCOUNT_CONCURRENCY,
      gatewayServiceAccount: settings.KAPPA_GATEWAY_SERVICE_ACCOUNT,
      clusterCidrs: settings.KAPPA_CLUSTER_CIDRS,
      urlAllowCidrs: settings.KAPPA_URL_ALLOW_CIDRS,
      network: {
        gatewayAgentPort: settings.KAPPA_AGENT_PORT,
        gatewayApiPort: settings.KAPPA_API_PORT,
        dns: { namespace: settings.KAPPA_DNS_NAMESPACE, podLabels: settings.KAPPA_DNS_POD_LABELS },
      },
    },
  );
  const telemetry = await startTelemetryServer({
    port: settings.KAPPA_METRICS_PORT,
    registry: metrics.registry,
    notReady: () => controllers.notReady(),
  });
  const stop = async (): Promise<void> => {
    await controllers.stop();
    await Promise.all([bus.close(), userBus.close(), telemetry.close()]);
    await client.close();
  };
  return { stop, log };
}
