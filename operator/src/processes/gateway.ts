import { connectBus } from "../bus/index.ts";
import { environmentSettings, gatewaySettings } from "../config.ts";
import { startGateway } from "../gateway/index.ts";
import { KubeClient, systemClock } from "../kube/index.ts";
import { createGatewayMetrics } from "../telemetry/gateway-metrics.ts";
import { createLogger } from "../telemetry/log.ts";
import { startTelemetryServer } from "../telemetry/server.ts";
import type { Process } from "./process.ts";

/** Starts a gateway. */
export async function gateway(env: NodeJS.ProcessEnv): Promise<Process> {
  const settings = gatewaySettings(env);
  const log = createLogger({ component: "gateway", level: settings.LOG_LEVEL, instance: settings.POD_NAME });
  const metrics = createGatewayMetrics();
  const client = KubeClient.inCluster({
    host: settings.KUBERNETES_SERVICE_HOST,
    port: settings.KUBERNETES_SERVICE_PORT,
    userAgent: "kappa-gateway",
    onRequest: metrics.apiRequest,
  });
  const bus = await connectBus({
    servers: settings.KAPPA_NATS_URL,
    seed: settings.KAPPA_NATS_SEED_FILE,
    name: settings.POD_NAME,
    onStatus: (status) => log.info(status, "NATS"),
  });
  const started = await startGateway(
    { client, bus, metrics, log, clock: systemClock },
    {
      instance: settings.POD_NAME,
      namespace: settings.POD_NAMESPACE,
      region: settings.KAPPA_REGION,
      listen: { api: settings.KAPPA_API_PORT, agents: settings.KAPPA_AGENT_PORT, peers: settings.KAPPA_PEER_PORT },
      advertisedHost: settings.POD_IP,
      agentService: settings.KAPPA_AGENT_SERVICE,
      peerSecret: settings.KAPPA_PEER_SECRET_FILE,
      lambdaEndpoint: settings.KAPPA_LAMBDA_ENDPOINT,
      images: settings.KAPPA_RUNTIME_IMAGES,
      environment: environmentSettings(settings),
      packageCache: { directory: settings.KAPPA_CACHE_DIR, maxBytes: settings.KAPPA_CACHE_BYTES },
      accountConcurrency: settings.KAPPA_ACCOUNT_CONCURRENCY,
      keepAliveMs: settings.KAPPA_KEEP_ALIVE_SECONDS * 1000,
      startTimeoutMs: settings.KAPPA_START_TIMEOUT_SECONDS * 1000,
      pools: {
        size: { memoryMb: settings.KAPPA_POOL_MEMORY_MIB, requestedMb: settings.KAPPA_POOL_REQUEST_MIB },
        floor: settings.KAPPA_POOL_FLOOR,
        ceiling: settings.KAPPA_POOL_CEILING,
        accountCeiling: settings.KAPPA_POOL_ACCOUNT_CEILING,
        starting: settings.KAPPA_POOL_STARTING,
        usedMs: settings.KAPPA_POOL_USED_SECONDS * 1000,
      },
    },
  );
  const telemetry = await startTelemetryServer({
    port: settings.KAPPA_METRICS_PORT,
    registry: metrics.registry,
    notReady: () => started.notReady(),
  });
  const stop = async (): Promise<void> => {
    await started.stop();
    await Promise.all([bus.close(), telemetry.close()]);
    await client.close();
  };
  return { stop, log };
}
