import { apply } from "../../suites/support/cluster.ts";
import type { Target } from "../load/messages.ts";
import { addressOf, pod, type Site } from "../site.ts";

const PORT = 8080;
/** As a function of 1769 MB has it, with Kappa's allowance for its agent. */
const SIZE = { memory: "1833Mi", cpu: "1250m" };

/** AWS's runtime interface emulator in a pod, called directly, with the runtime and handler that Kappa's environments have. */
export async function emulator({ image, region }: Site): Promise<Target> {
  const variables = {
    AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x",
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: "1769",
    AWS_LAMBDA_FUNCTION_NAME: "function",
    AWS_REGION: region,
    LAMBDA_RUNTIME_DIR: "/var/runtime",
    LAMBDA_TASK_ROOT: "/var/task",
    _HANDLER: "index.handler",
  };
  const container = {
    env: Object.entries(variables).map(([name, value]) => ({ name, value })),
    workingDir: "/var/task",
    resources: { limits: SIZE, requests: { memory: "256Mi", cpu: "100m" } },
    readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
  };
  // Its log of every request would be a cost that the others do not have.
  const command = ["/bench/aws-lambda-rie", "--log-level", "error", "/var/runtime/bootstrap"];
  await apply(pod("emulator", image, ["index.handler"], container, command));
  return {
    origin: `http://${await addressOf("emulator")}:${PORT}`,
    method: "POST",
    path: "/2015-03-31/functions/function/invocations",
    headers: { "content-type": "application/json" },
    body: "{}",
  };
}
