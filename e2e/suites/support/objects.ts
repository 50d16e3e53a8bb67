/** Puts a user's package where `spec.code.object` finds it: an object store bucket of the USER account, as the installation's administrator does. */
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { jetstream } from "@nats-io/jetstream";
import { Objm } from "@nats-io/obj";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";
import { clusterEnv, eventually, kubectlJson } from "./cluster.ts";

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** Writes `bytes` to `key` of the namespace's bucket; the bucket is made when it is missing. */
export async function putUserObject(namespace: string, bucket: string, key: string, bytes: Uint8Array): Promise<void> {
  const secret = await kubectlJson<{ data: { seed: string } }>("get", "secret", "-n", "kappa-system", "kappa-nats-user-admin");
  const port = await freePort();
  const forward = spawn("kubectl", ["port-forward", "-n", "kappa-system", "service/kappa-nats", `${port}:4222`], {
    env: clusterEnv(),
    stdio: "ignore",
  });
  try {
    const seed = Buffer.from(secret.data.seed, "base64");
    const connection = await eventually("NATS answers through the port-forward", () =>
      connect({ servers: `nats://127.0.0.1:${port}`, authenticator: nkeyAuthenticator(seed), ignoreClusterUpdates: true }),
    );
    try {
      const store = await new Objm(jetstream(connection)).create(`${namespace}_${bucket}`);
      await store.putBlob({ name: key }, bytes);
    } finally {
      await connection.close();
    }
  } finally {
    forward.kill();
  }
}
