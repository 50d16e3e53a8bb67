import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { binary } from "./binaries.ts";
import { ServerProcess, withFreePorts } from "./process.ts";

/** A cold start takes 5 s on an idle machine of two cores; a build beside it makes it many times that. */
const START_TIMEOUT_MS = 90_000;

/** Issuer of service account tokens, as kubeadm sets it. */
const ISSUER = "https://kubernetes.default.svc.cluster.local";

export interface ApiServerOptions {
  /** Further command line flags of kube-apiserver, such as an audit policy. */
  flags?: string[];
}

/** A real Kubernetes API with nothing behind it: no controller manager (nothing is garbage-collected, namespaces do not go away), no node. */
export interface TestApiServer {
  url: string;
  /** Kubeconfig of a cluster administrator, as YAML. */
  kubeconfig: string;
  /** The same in a file. */
  kubeconfigPath: string;
  /** Kubeconfig of whoever the bearer token stands for, as YAML. */
  kubeconfigFor(token: string): string;
  /** Kills the server and its etcd and deletes what they stored. */
  stop(): Promise<void>;
}

/**
 * Starts kube-apiserver and etcd on free ports of the loopback interface, with RBAC, service account tokens (TokenRequest,
 * `/openid/v1/jwks`) and ValidatingAdmissionPolicy.
 * @throws Error with the program's last output when it does not become ready.
 */
export async function startApiServer(options: ApiServerOptions = {}): Promise<TestApiServer> {
  const folder = await mkdtemp(join(tmpdir(), "kappa-apiserver-"));
  const processes: ServerProcess[] = [];
  const stop = async () => {
    await Promise.all(processes.map((process) => process.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    return await withFreePorts(3, async ([etcdPort = 0, peerPort = 0, port = 0]) => {
      await Promise.all(processes.splice(0).map((process) => process.kill()));
      const adminToken = randomBytes(24).toString("hex");
      await writeServiceAccountKeys(folder);
      await writeFile(join(folder, "tokens.csv"), `${adminToken},admin,admin,"system:masters"\n`, { mode: 0o600 });

      const etcd = new ServerProcess(binary("etcd"), etcdFlags(join(folder, `etcd-${etcdPort}`), etcdPort, peerPort));
      processes.push(etcd);
      const server = new ServerProcess(binary("kube-apiserver"), [...apiServerFlags(folder, etcdPort, port), ...(options.flags ?? [])]);
      processes.push(server);

      const url = `https://127.0.0.1:${port}`;
      await server.ready(() => {
        // Without its etcd the API server would wait for ever.
        if (!etcd.running) throw new Error(`etcd ended while starting. Its last output:\n${etcd.output}`);
        return isReady(folder, url, adminToken);
      }, START_TIMEOUT_MS);
      // The server signs its own certificate when it is given none; the file also holds the authority's.
      const authority = await readFile(join(folder, "apiserver.crt"), "utf8");
      const kubeconfigFor = (token: string) => kubeconfig(url, authority, token);
      const kubeconfigPath = join(folder, "kubeconfig");
      await writeFile(kubeconfigPath, kubeconfigFor(adminToken), { mode: 0o600 });
      return { url, kubeconfig: kubeconfigFor(adminToken), kubeconfigPath, kubeconfigFor, stop };
    });
  } catch (error) {
    await stop();
    throw error;
  }
}

async function writeServiceAccountKeys(folder: string): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  await writeFile(join(folder, "sa.pub"), publicKey);
  await writeFile(join(folder, "sa.key"), privateKey, { mode: 0o600 });
}

function etcdFlags(data: string, port: number, peerPort: number): string[] {
  const client = `http://127.0.0.1:${port}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  return [
    `--data-dir=${data}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // The data lives as long as the test.
    "--unsafe-no-fsync=true",
    "--log-level=warn",
  ];
}

function apiServerFlags(folder: string, etcdPort: number, port: number): string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    `--secure-port=${port}`,
    `--cert-dir=${folder}`,
    `--token-auth-file=${join(folder, "tokens.csv")}`,
    "--authorization-mode=RBAC",
    // As clusters are set up (kubeadm): what a pod may be is for policies to say.
    "--allow-privileged=true",
    `--service-account-issuer=${ISSUER}`,
    `--service-account-key-file=${join(folder, "sa.pub")}`,
    `--service-account-signing-key-file=${join(folder, "sa.key")}`,
    "--service-cluster-ip-range=10.96.0.0/16",
    // Loopback is no address that an EndpointSlice may hold.
    "--endpoint-reconciler-type=none",
  ];
}

/** Whether `/readyz` answers 200. The certificate appears in the folder while the server starts. */
async function isReady(folder: string, url: string, token: string): Promise<boolean> {
  const ca = await readFile(join(folder, "apiserver.crt")).catch(() => undefined);
  if (ca === undefined) return false;
  return new Promise((resolve) => {
    get(`${url}/readyz`, { ca, agent: false, timeout: 2_000, headers: { authorization: `Bearer ${token}` } }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    })
      .on("timeout", function (this: { destroy(): void }) {
        this.destroy();
      })
      .on("error", () => resolve(false));
  });
}

function kubeconfig(server: string, authority: string, token: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server, "certificate-authority-data": Buffer.from(authority).toString("base64") } }],
    users: [{ name: "test", user: { token } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test",
  });
}
