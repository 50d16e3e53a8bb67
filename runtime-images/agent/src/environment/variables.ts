/**
 * The environment variables of a runtime process. Pure. Names from the guide ("Defined runtime environment variables"), values as
 * functions on Lambda were recorded to have them.
 */
import type { Assignment } from "../../../../operator/src/api/environment-protocol.ts";
import { levelOf } from "../logs/levels.ts";

/** What is known of a runtime before it has a function. */
export interface RuntimeInput {
  /** Runtime identifier. */
  runtime: string;
  /** `host:port` of the Runtime API. */
  runtimeApi: string;
  taskRoot: string;
  runtimeRoot: string;
  /** Variables of the pod that its function may see. */
  inherited: Readonly<Record<string, string>>;
}

export interface VariablesInput extends RuntimeInput {
  assignment: Assignment;
}

/** Where X-Ray's SDKs send their segments. Nothing listens, so that none of them leaves the pod; without it they warn at every event. */
const XRAY_DAEMON = { address: "127.0.0.1", port: "2000" } as const;

/** A function's own variables override the first groups; those after it are Lambda's alone (guide, "reserved"). */
export function runtimeVariables(input: VariablesInput): Record<string, string> {
  const { assignment } = input;
  const { credentials, logging } = assignment;
  return {
    ...defaults(input),
    AWS_ENDPOINT_URL_LAMBDA: assignment.lambdaEndpoint,
    AWS_XRAY_CONTEXT_MISSING: "LOG_ERROR",
    AWS_XRAY_DAEMON_ADDRESS: `${XRAY_DAEMON.address}:${XRAY_DAEMON.port}`,
    _AWS_XRAY_DAEMON_ADDRESS: XRAY_DAEMON.address,
    _AWS_XRAY_DAEMON_PORT: XRAY_DAEMON.port,
    ...assignment.environment,
    _HANDLER: assignment.handler,
    AWS_REGION: assignment.region,
    AWS_DEFAULT_REGION: assignment.region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_SESSION_TOKEN: credentials.sessionToken,
    AWS_LAMBDA_FUNCTION_NAME: assignment.functionName,
    AWS_LAMBDA_FUNCTION_VERSION: assignment.version,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(assignment.memorySize),
    AWS_LAMBDA_INITIALIZATION_TYPE: assignment.initializationType,
    AWS_LAMBDA_LOG_GROUP_NAME: logging.group,
    AWS_LAMBDA_LOG_STREAM_NAME: logging.stream,
    AWS_LAMBDA_LOG_FORMAT: logging.format,
    ...(logging.format === "JSON" ? { AWS_LAMBDA_LOG_LEVEL: levelOf(logging.applicationLevel) } : {}),
    ...own(input),
  };
}

/**
 * What every function of a runtime has, unless it says otherwise: a zygote starts with it.
 * @param heapMb memorySize of all its functions, where the size of the heap is fixed at the start; else 0
 */
export function zygoteVariables(input: RuntimeInput, heapMb: number): Record<string, string> {
  const heap: Record<string, string> = heapMb === 0 ? {} : { AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(heapMb) };
  return { ...defaults(input), ...own(input), ...heap };
}

/** What a function may override. */
function defaults(input: RuntimeInput): Record<string, string> {
  return { ...input.inherited, ...searchPaths(input), LANG: "en_US.UTF-8", TZ: ":UTC" };
}

/** What it may not. */
function own({ runtime, runtimeApi, taskRoot, runtimeRoot }: RuntimeInput): Record<string, string> {
  return {
    ...(isProvided(runtime) ? {} : { AWS_EXECUTION_ENV: `AWS_Lambda_${runtime}` }),
    AWS_LAMBDA_RUNTIME_API: runtimeApi,
    LAMBDA_TASK_ROOT: taskRoot,
    LAMBDA_RUNTIME_DIR: runtimeRoot,
  };
}

/** Whether the function brings its own `bootstrap`: Lambda then leaves out all that belongs to a language. */
export function isProvided(runtime: string): boolean {
  return runtime.startsWith("provided");
}

/** Where a process looks for programs, libraries and modules. Python's start-up sets PYTHONPATH, after it has read a function's own. */
function searchPaths({ runtime, taskRoot, runtimeRoot }: RuntimeInput): Record<string, string> {
  // With the slash after /usr/bin, as on Lambda.
  const programs = "/usr/local/bin:/usr/bin/:/bin:/opt/bin";
  const libraries = `/lib64:/usr/lib64:${runtimeRoot}:${runtimeRoot}/lib:${taskRoot}:${taskRoot}/lib:/opt/lib`;
  if (isProvided(runtime)) return { PATH: programs, LD_LIBRARY_PATH: libraries };
  const node = /^nodejs(\d+)\.x$/.exec(runtime)?.[1];
  const modules = `/opt/nodejs/node${node}/node_modules:/opt/nodejs/node_modules:${runtimeRoot}/node_modules:${runtimeRoot}:${taskRoot}`;
  return {
    PATH: `/var/lang/bin:${programs}`,
    LD_LIBRARY_PATH: `/var/lang/lib:${libraries}`,
    ...(node === undefined ? {} : { NODE_PATH: modules }),
  };
}
