import { z } from "zod";
import type { Cluster } from "./cluster.ts";
import { ClusterError } from "./failure.ts";

const ADMIN = { namespace: "default", name: "kappa-admin", type: "kappa.dev/access-key" } as const;
const REGION = "us-east-1";
const Base64 = z.string().transform((text) => Buffer.from(text, "base64").toString("utf8"));
const AccessKey = z.object({ type: z.literal(ADMIN.type), data: z.object({ accessKeyId: Base64, secretAccessKey: Base64 }) });

/** Variables that make kubectl, helm and AWS's tools work against the cluster from an ordinary shell. `path` is the PATH to add to. */
export async function clusterEnvironment(cluster: Cluster, path: string): Promise<Record<string, string>> {
  const key = await adminKey(cluster);
  return {
    KUBECONFIG: cluster.paths.kubeconfig,
    PATH: [cluster.paths.bin, ...path.split(":").filter((folder) => folder !== cluster.paths.bin)].join(":"),
    AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${cluster.state.ports.gateway}`,
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_ACCESS_KEY_ID: key.accessKeyId,
    AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
  };
}

async function adminKey({ kubectl }: Cluster): Promise<{ accessKeyId: string; secretAccessKey: string }> {
  const got = await kubectl.attempt(
    ["get", "secret", ADMIN.name, `--namespace=${ADMIN.namespace}`, "--output=json", "--request-timeout=10s"],
    { timeoutMs: 20_000 },
  );
  if (got.exitCode !== 0) {
    const missing = got.stderr.includes("NotFound");
    throw new ClusterError(
      missing
        ? `Kappa is not installed in the cluster: it has no Secret ${ADMIN.namespace}/${ADMIN.name}`
        : `the cluster does not answer: ${got.stderr.trim()}`,
      "run `make up`",
    );
  }
  const parsed = AccessKey.safeParse(JSON.parse(got.stdout));
  if (!parsed.success) {
    throw new ClusterError(
      `Secret ${ADMIN.namespace}/${ADMIN.name} is no access key: ${parsed.error.message}`,
      `delete it and run \`make up\`, which makes it again`,
    );
  }
  return parsed.data.data;
}

/** Lines that a POSIX shell can `eval`. */
export function exportLines(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}=${shellQuoted(value)}\n`)
    .join("");
}

/** A word that the shell takes as it is. */
const shellQuoted = (text: string) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
