/** The environment variables of a runtime process, as on Lambda (guide, "Defined runtime environment variables"). Pure. */
import type { Assignment } from "../../../../operator/src/api/environment-protocol.ts";

export interface VariablesInput {
  assignment: Assignment;
  /** Runtime identifier. */
  runtime: string;
  /** `host:port` of the Runtime API. */
  runtimeApi: string;
  taskRoot: string;
  runtimeRoot: string;
}

/** Variables that a function may set itself override the first group; the second group is Lambda's own. */
export function runtimeVariables(input: VariablesInput): Record<string, string> {
  const { assignment, taskRoot, runtimeRoot } = input;
  return {
    LANG: "en_US.UTF-8",
    TZ: ":UTC",
    PATH: "/usr/local/bin:/usr/bin:/bin:/opt/bin",
    LD_LIBRARY_PATH: `/lib64:/usr/lib64:${runtimeRoot}:${runtimeRoot}/lib:${taskRoot}:${taskRoot}/lib:/opt/lib`,
    ...assignment.environment,
    _HANDLER: assignment.handler,
    AWS_REGION: assignment.region,
    AWS_DEFAULT_REGION: assignment.region,
    AWS_EXECUTION_ENV: `AWS_Lambda_${input.runtime}`,
    AWS_LAMBDA_FUNCTION_NAME: assignment.functionName,
    AWS_LAMBDA_FUNCTION_VERSION: assignment.version,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(assignment.memorySize),
    AWS_LAMBDA_INITIALIZATION_TYPE: assignment.initializationType,
    AWS_LAMBDA_LOG_GROUP_NAME: assignment.logging.group,
    AWS_LAMBDA_LOG_STREAM_NAME: assignment.logging.stream,
    AWS_LAMBDA_LOG_FORMAT: assignment.logging.format,
    AWS_LAMBDA_RUNTIME_API: input.runtimeApi,
    LAMBDA_TASK_ROOT: taskRoot,
    LAMBDA_RUNTIME_DIR: runtimeRoot,
  };
}
