/**
 * The settings of every process, read from the environment once and checked. Its only callers are processes/.
 * The chart writes these variables; charts/kappa/values.yaml documents them for people.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { KappaError } from "./domain/errors.ts";

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

const controller = z.object({
  ...common,
  ...bus,
  KAPPA_NATS_USER_SEED_FILE: file,
  KAPPA_WORKERS: z.coerce.number().int().min(1).max(64),
  KAPPA_RUNTIMES: list,
  KAPPA_URL_ALLOW_CIDRS: list,
  KAPPA_CLUSTER_CIDRS: list,
  KAPPA_DNS_NAMESPACE: z.string().min(1),
  KAPPA_DNS_POD_LABELS: json(labels),
  KAPPA_GATEWAY_SERVICE_ACCOUNT: z.string().min(1),
  KAPPA_API_PORT: port,
  KAPPA_AGENT_PORT: port,
});

const gateway = z.object({
  ...common,
  ...bus,
  POD_IP: z.union([z.ipv4(), z.ipv6()]),
  KAPPA_RUNTIME_IMAGES: json(z.record(z.string(), z.string().min(1))),
  KAPPA_RUNTIME_PULL_POLICY: z.enum(["Always", "IfNotPresent", "Never"]),
  KAPPA_API_PORT: port,
  KAPPA_AGENT_PORT: port,
  KAPPA_PEER_PORT: port,
  KAPPA_AGENT_SERVICE: z.string().min(1),
  KAPPA_PEER_SECRET_FILE: file,
  KAPPA_CLUSTER_DOMAIN: z.string().regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/),
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
  KAPPA_ACCOUNT_CONCURRENCY: z.coerce.number().int().positive(),
  KAPPA_OVERCOMMIT_MEMORY: z.coerce.number().positive().max(1),
  KAPPA_OVERCOMMIT_CPU: z.coerce.number().positive().max(1),
  KAPPA_AGENT_MEMORY_MIB: z.coerce.number().int().positive(),
  KAPPA_AGENT_CPU_MILLI: z.coerce.number().int().positive(),
  KAPPA_RUNTIME_CLASS: z.string().min(1).optional(),
});

const bootstrap = z.object({ ...apiServer, LOG_LEVEL: common.LOG_LEVEL, POD_NAMESPACE: common.POD_NAMESPACE });

/** @throws KappaError K300 that names every variable that is wrong */
function parse<T extends z.ZodType>(schema: T, env: NodeJS.ProcessEnv): z.output<T> {
  const result = schema.safeParse(env);
  if (result.success) return result.data;
  throw new KappaError("K300", result.error.issues.map((i) => `${i.path.join(".")}: ${i.message}`).join("; "));
}

export const controllerSettings = (env: NodeJS.ProcessEnv): z.output<typeof controller> => parse(controller, env);
export const gatewaySettings = (env: NodeJS.ProcessEnv): z.output<typeof gateway> => parse(gateway, env);
export const bootstrapSettings = (env: NodeJS.ProcessEnv): z.output<typeof bootstrap> => parse(bootstrap, env);
