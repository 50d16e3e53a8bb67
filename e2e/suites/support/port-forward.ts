/** `kubectl port-forward` and `kubectl proxy`, as a person uses them, for what listens inside the cluster only. */
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { clusterEnv } from "./cluster.ts";

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** Forwards a port of the loopback to `target` (`pod/NAME`, `service/NAME`) while `use` runs. The first connections may be refused. */
export const withPortForward = <T>(namespace: string, target: string, port: number, use: (local: number) => Promise<T>): Promise<T> =>
  withLocalPort((local) => ["port-forward", "-n", namespace, target, `${local}:${port}`], use);

/** Has the API server at a port of the loopback while `use` runs. The first connections may be refused. */
export const withApiServer = <T>(use: (local: number) => Promise<T>): Promise<T> =>
  withLocalPort((local) => ["proxy", `--port=${local}`], use);

async function withLocalPort<T>(command: (local: number) => string[], use: (local: number) => Promise<T>): Promise<T> {
  const local = await freePort();
  const child = spawn("kubectl", command(local), { env: clusterEnv(), stdio: "ignore" });
  try {
    return await use(local);
  } finally {
    child.kill();
  }
}
