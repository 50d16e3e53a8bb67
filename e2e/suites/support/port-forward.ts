/** `kubectl port-forward`, as a person uses it, for what listens inside the cluster only. */
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
export async function withPortForward<T>(namespace: string, target: string, port: number, use: (local: number) => Promise<T>): Promise<T> {
  const local = await freePort();
  const forward = spawn("kubectl", ["port-forward", "-n", namespace, target, `${local}:${port}`], { env: clusterEnv(), stdio: "ignore" });
  try {
    return await use(local);
  } finally {
    forward.kill();
  }
}
