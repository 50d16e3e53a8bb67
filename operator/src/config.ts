/**
 * The settings of every process, read from the environment once and checked. Its only callers are processes/.
 * The chart writes these variables; charts/kappa/values.yaml documents them for people.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { KappaError } from "./domain/errors.ts";
import type { EnvironmentSettings } from "./resources/environment-pod.ts";

const port = z.coerce.number().int().min(1).max(65535);
const seconds = z.coerce.number().positive();
const list = z.string().transform((s) =>
  s
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== ""),
);
const file = z
  .string()
  .min(1)
  .transform((path, context) => {
    try {
      return readFileSync(path, "utf8").trim();
    } catch (cause) {
      context.addIssue({ code: "custom", message: `the file ${path} cannot be read: ${(cause as Error).message}` });
      return z.NEVER;
    }
  });
const json = <T extends z.ZodType>(inner: T) =>
  z
    .string()
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue({ code: "custom", message: "is not JSON" });
        return z.NEVER;
      }
    })
    .pipe(inner);

const labels = z.record(z.string(), z.string());

/** Every pod has these from the kubelet. By address, so that nothing depends on the cluster's DNS. */
const apiServer = { KUBERNETES_SERVICE_HOST: z.string().min(1), KUBERNETES_SERVICE_PORT: z.string().regex(/^\d{1,5}$/) };

const common = {
  ...apiServer,
  LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error"]).default("info"),
  POD_NAME: z.string().min(1),
  POD_NAMESPACE: z.string().min(1),
  KAPPA_REGION: z.string().regex(/^[a-z0-9-]{1,32}$/),
  KAPPA_METRICS_PORT: port,
};

const bus = { KAPPA_NATS_URL: z.url(), KAPPA_NATS_SEED_FILE: file };

/** How environments are made, by whichever process. */
const environments = {
  KAPPA_RUNTIME_IMAGES: json(z.record(z.string(), z.string().min(1))),
  KAPPA_RUNTIME_PULL_POLICY: z.enum(["Always", "IfNotPresent", "Never"]),
  KAPPA_AGENT_SERVICE: z.string().min(1),
  KAPPA_AGENT_PORT: port,
  KAPPA_CLUSTER_DOMAIN: z.string().regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/),
  KAPPA_ACCOUNT_CONCURRENCY: z.coerce.number().int().positive(),
  KAPPA_OVERCOMMIT_MEMORY: z.coerce.number().positive().max(1),
  KAPPA_OVERCOMMIT_CPU: z.coerce.number().positive().max(1),
  KAPPA_AGENT_MEMORY_MIB: z.coerce.number().int().positive(),
  KAPPA_AGENT_CPU_MILLI: z.coerce.number().int().positive(),
  KAPPA_RUNTIME_CLASS: z.string().min(1).optional(),
};

const controller = z.object({
  ...common,
  ...bus,
  ...environments,
  KAPPA_NATS_USER_SEED_FILE: file,
  KAPPA_WORKERS: z.coerce.number().int().min(1).max(64),
  KAPPA_URL_ALLOW_CIDRS: list,
  KAPPA_CLUSTER_CIDRS: list,
  KAPPA_DNS_NAMESPACE: z.string().min(1),
  KAPPA_DNS_POD_LABELS: json(labels),
  KAPPA_GATEWAY_SERVICE_ACCOUNT: z.string().min(1),
  KAPPA_API_PORT: port,
});

const gateway = z.object({
  ...common,
  ...bus,
  ...environments,
  POD_IP: z.union([z.ipv4(), z.ipv6()]),
  KAPPA_API_PORT: port,
  KAPPA_PEER_PORT: port,
  KAPPA_PEER_SECRET_FILE: file,
  KAPPA_LAMBDA_ENDPOINT: z.url(),
  KAPPA_CACHE_DIR: z.string().min(1),
  KAPPA_CACHE_BYTES: z.coerce.number().int().positive(),
  KAPPA_KEEP_ALIVE_SECONDS: seconds,
  KAPPA_START_TIMEOUT_SECONDS: seconds,
  KAPPA_POOL_MEMORY_MIB: z.coerce.number().int().positive(),
  KAPPA_POOL_REQUEST_MIB: z.coerce.number().int().positive(),
  KAPPA_POOL_FLOOR: z.coerce.number().int().min(0),
  KAPPA_POOL_CEILING: z.coerce.number().int().min(0),
  KAPPA_POOL_ACCOUNT_CEILING: z.coerce.number().int().min(0),
  KAPPA_POOL_STARTING: z.coerce.number().int().positive(),
  KAPPA_POOL_USED_SECONDS: seconds,
});

const bootstrap = z.object({ ...apiServer, LOG_LEVEL: common.LOG_LEVEL, POD_NAMESPACE: common.POD_NAMESPACE });

/** @throws KappaError K300 that names every variable that is wrong */
function parse<T extends z.ZodType>(schema: T, env: NodeJS.ProcessEnv): z.output<T> {
  const result = schema.safeParse(env);
  if (result.success) return result.data;
  throw new KappaError("K300", result.error.issues.map((i) => `${i.path.join(".")}: ${i.message}`).join("; "));
}

/** The policy of environment pods that the settings of a process name. */
export function environmentSettings(settings: z.output<z.ZodObject<typeof environments>> & { POD_NAMESPACE: string }): EnvironmentSettings {
  return {
    overcommit: { memory: settings.KAPPA_OVERCOMMIT_MEMORY, cpu: settings.KAPPA_OVERCOMMIT_CPU },
    agentAllowance: { memoryMb: settings.KAPPA_AGENT_MEMORY_MIB, cpuMillis: settings.KAPPA_AGENT_CPU_MILLI },
    gateway: {
      host: `${settings.KAPPA_AGENT_SERVICE}.${settings.POD_NAMESPACE}.svc.${settings.KAPPA_CLUSTER_DOMAIN}.`,
      port: settings.KAPPA_AGENT_PORT,
    },
    imagePullPolicy: settings.KAPPA_RUNTIME_PULL_POLICY,
    ...(settings.KAPPA_RUNTIME_CLASS === undefined ? {} : { runtimeClassName: settings.KAPPA_RUNTIME_CLASS }),
  };
}

export const controllerSettings = (env: NodeJS.ProcessEnv): z.output<typeof controller> => parse(controller, env);
export const gatewaySettings = (env: NodeJS.ProcessEnv): z.output<typeof gateway> => parse(gateway, env);
export const bootstrapSettings = (env: NodeJS.ProcessEnv): z.output<typeof bootstrap> => parse(bootstrap, env);
