/** Puts a user's package where `spec.code.object` finds it: an object store bucket of the USER account, as the installation's administrator does. */
import { jetstream } from "@nats-io/jetstream";
import { Objm } from "@nats-io/obj";
import { connect, nkeyAuthenticator } from "@nats-io/transport-node";
import { eventually, kubectlJson } from "./cluster.ts";
import { withPortForward } from "./port-forward.ts";

/** Writes `bytes` to `key` of the namespace's bucket; the bucket is made when it is missing. */
export async function putUserObject(namespace: string, bucket: string, key: string, bytes: Uint8Array): Promise<void> {
  const secret = await kubectlJson<{ data: { seed: string } }>("get", "secret", "-n", "kappa-system", "kappa-nats-user-admin");
  const seed = Buffer.from(secret.data.seed, "base64");
  await withPortForward("kappa-system", "service/kappa-nats", 4222, async (port) => {
    const connection = await eventually("NATS answers through the port-forward", () =>
      connect({ servers: `nats://127.0.0.1:${port}`, authenticator: nkeyAuthenticator(seed), ignoreClusterUpdates: true }),
    );
    try {
      const store = await new Objm(jetstream(connection)).create(`${namespace}_${bucket}`);
      await store.putBlob({ name: key }, bytes);
    } finally {
      await connection.close();
    }
  });
}
