import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

/**
 * What the runtime's start-up file executes for a function with a handler named "handler": program, options, main class, handler.
 * @param runtime folder laid out as /var/runtime
 * @param cwd where the wrapper script that tells it runs
 */
export async function commandLine(runtime: string, cwd: string): Promise<string[]> {
  const env = {
    LAMBDA_RUNTIME_DIR: runtime,
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "512",
    _HANDLER: "handler",
    AWS_LAMBDA_EXEC_WRAPPER: "/bin/echo",
  };
  return (await promisify(execFile)(join(runtime, "bootstrap"), { cwd, env })).stdout.trim().split(" ");
}
