/**
 * The composition root: `main.mjs controller|gateway|bootstrap`. Reads argv and the environment, makes the adapters, starts one
 * process' parts, and stops them in order on SIGTERM.
 */
import { runBootstrap } from "./bootstrap/index.ts";
import { connectBus, connectUserBus } from "./bus/index.ts";
import { bootstrapSettings, controllerSettings, gatewaySettings } from "./config.ts";
import { startControllers } from "./controllers/index.ts";
import { KappaError } from "./domain/errors.ts";
import { startGateway } from "./gateway/index.ts";
import { EventRecorder, KubeClient, systemClock } from "./kube/index.ts";
import { createControllerMetrics } from "./telemetry/controller-metrics.ts";
import { createGatewayMetrics } from "./telemetry/gateway-metrics.ts";
import { createLogger, type Logger } from "./telemetry/log.ts";
import { startTelemetryServer } from "./telemetry/server.ts";

interface Process {
  log: Logger;
  /** Ends what runs in order; resolves when nothing of it is left. */
  stop(): Promise<void>;
}

async function controller(): Promise<Process> {
  const settings = controllerSettings(process.env);
  const log = createLogger({ component: "controller", level: settings.LOG_LEVEL, instance: settings.POD_NAME });
  const metrics = createControllerMetrics();
  const client = KubeClient.inCluster({ userAgent: "kappa-controller", onRequest: metrics.apiRequest });
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
      runtimes: settings.KAPPA_RUNTIMES,
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

async function gateway(): Promise<Process> {
  const settings = gatewaySettings(process.env);
  const log = createLogger({ component: "gateway", level: settings.LOG_LEVEL, instance: settings.POD_NAME });
  const metrics = createGatewayMetrics();
  const client = KubeClient.inCluster({ userAgent: "kappa-gateway", onRequest: metrics.apiRequest });
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
      images: settings.KAPPA_RUNTIME_IMAGES,
      environment: {
        overcommit: { memory: settings.KAPPA_OVERCOMMIT_MEMORY, cpu: settings.KAPPA_OVERCOMMIT_CPU },
        agentAllowance: { memoryMb: settings.KAPPA_AGENT_MEMORY_MIB, cpuMillis: settings.KAPPA_AGENT_CPU_MILLI },
        gateway: { host: `${settings.KAPPA_AGENT_SERVICE}.${settings.POD_NAMESPACE}.svc.cluster.local.`, port: settings.KAPPA_AGENT_PORT },
        imagePullPolicy: settings.KAPPA_RUNTIME_PULL_POLICY,
        ...(settings.KAPPA_RUNTIME_CLASS === undefined ? {} : { runtimeClassName: settings.KAPPA_RUNTIME_CLASS }),
      },
      packageCache: { directory: settings.KAPPA_CACHE_DIR, maxBytes: settings.KAPPA_CACHE_BYTES },
      accountConcurrency: settings.KAPPA_ACCOUNT_CONCURRENCY,
      keepAliveMs: settings.KAPPA_KEEP_ALIVE_SECONDS * 1000,
      startTimeoutMs: settings.KAPPA_START_TIMEOUT_SECONDS * 1000,
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

async function bootstrap(): Promise<undefined> {
  const settings = bootstrapSettings(process.env);
  const log = createLogger({ component: "bootstrap", level: settings.LOG_LEVEL });
  const client = KubeClient.inCluster({ userAgent: "kappa-bootstrap" });
  await runBootstrap({ client, log }, { namespace: settings.POD_NAMESPACE });
  await client.close();
}

const processes: Record<string, () => Promise<Process | undefined>> = { controller, gateway, bootstrap };

async function main(): Promise<void> {
  const name = process.argv[2] ?? "";
  const start = processes[name];
  if (!start) throw new KappaError("K300", `the first argument is "${name}"; it has to be one of ${Object.keys(processes).join(", ")}`);
  const started = await start();
  if (!started) return;
  const { stop, log } = started;
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      log.info({ signal }, "stopping");
      stop().then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ err: error }, "did not stop in order");
          process.exit(1);
        },
      );
    });
  }
}

main().catch((error: unknown) => {
  const known = error instanceof KappaError ? { code: error.code, remedy: error.entry.remedy } : {};
  process.stderr.write(
    `${JSON.stringify({ level: "fatal", ...known, message: error instanceof Error ? error.message : String(error), stack: error instanceof Error ? error.stack : undefined })}\n`,
  );
  process.exit(1);
});
