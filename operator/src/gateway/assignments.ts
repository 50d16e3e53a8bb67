/** What an environment is told so that it becomes one version of a function. Pure. */
import type { Assignment, AwsCredentials } from "../api/environment-protocol.ts";
import type { FunctionEffectiveLoggingConfig } from "../api/types.generated.ts";
import type { FunctionEntry, Runnable } from "./function-entry.ts";

export interface AssignmentInput {
  entry: Pick<FunctionEntry, "functionName">;
  runnable: Runnable;
  /** ARN without qualifier. */
  functionArn: string;
  region: string;
  accountId: string;
  /** Epoch milliseconds. */
  now: number;
  podUid: string;
  /** Whether it is kept for provisioned concurrency. */
  provisioned: boolean;
  credentials: AwsCredentials;
  lambdaEndpoint: string;
  pass: string;
  epoch: number;
}

export function assignmentFor(of: AssignmentInput): Assignment {
  const { effective, assignmentId, version } = of.runnable;
  return {
    assignmentId,
    functionName: of.entry.functionName,
    version,
    functionArn: of.functionArn,
    handler: effective.handler,
    memorySize: effective.memorySize,
    timeout: effective.timeout,
    environment: effective.environment,
    region: of.region,
    accountId: of.accountId,
    initializationType: of.provisioned ? "provisioned-concurrency" : "on-demand",
    code: { sha256: effective.packageSha256, size: effective.codeSize },
    logging: { ...logging(effective.loggingConfig), stream: logStream(of) },
    credentials: of.credentials,
    lambdaEndpoint: of.lambdaEndpoint,
    pass: of.pass,
    epoch: of.epoch,
  };
}

/** What a function's log is like. Levels act on the JSON format only, where Lambda's default is INFO for both. */
function logging({ logFormat, logGroup, applicationLogLevel, systemLogLevel }: FunctionEffectiveLoggingConfig) {
  if (logFormat === "Text") return { format: logFormat, group: logGroup };
  return { format: logFormat, group: logGroup, applicationLevel: applicationLogLevel ?? "INFO", systemLevel: systemLogLevel ?? "INFO" };
}

/** Name of an environment's log stream, as Lambda forms it. */
function logStream({ now, runnable, podUid }: AssignmentInput): string {
  return `${new Date(now).toISOString().slice(0, 10).replaceAll("-", "/")}/[${runnable.version}]${podUid.replaceAll("-", "")}`;
}
