import { readFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { KappaError } from "../domain/errors.ts";
import { type CredentialSource, credentials } from "./credentials.ts";

export interface InClusterOptions {
  /** Address of the API server: the environment's KUBERNETES_SERVICE_HOST. Without it the cluster's DNS name is used. */
  host?: string | undefined;
  /** KUBERNETES_SERVICE_PORT; 443 without it. */
  port?: string | undefined;
  /** Where the kubelet projects `token` and `ca.crt`. */
  serviceAccountDir?: string | undefined;
}

/** Conventional mount of a pod's ServiceAccount: kubernetes.io/docs/tasks/run-application/access-api-from-pod. */
const SERVICE_ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The pod's own ServiceAccount. Both files are read at each call: the kubelet replaces the token before it expires. */
export function inClusterSource(options: InClusterOptions): CredentialSource {
  const host = options.host ?? "kubernetes.default.svc";
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${options.port ?? "443"}`;
  const dir = options.serviceAccountDir ?? SERVICE_ACCOUNT_DIR;
  return async () => {
    try {
      const [token, ca] = await Promise.all([readFile(join(dir, "token"), "utf8"), readFile(join(dir, "ca.crt"))]);
      return credentials(server, { ca }, { authorization: `Bearer ${token.trim()}` });
    } catch (cause) {
      throw new KappaError("K300", `cannot read the ServiceAccount in ${dir}: is automountServiceAccountToken on?`, { cause });
    }
  };
}

/**
 * A kubeconfig, by path or as text. client-node reads it, so exec plugins, OIDC, client certificates and token files work as they do
 * for kubectl. It is loaded on demand: a pod in the cluster never needs it, nor the memory that it takes (ADR 0003).
 */
export function kubeconfigSource(pathOrYaml: string): CredentialSource {
  const loading = import("./kubeconfig.ts").then(({ loadKubeconfig, kubeconfigCredentials }) => {
    const config = loadKubeconfig(pathOrYaml);
    return () => kubeconfigCredentials(config);
  });
  // The first request reports the failure; until then it must not count as unhandled.
  loading.catch(() => {});
  return async () => (await loading)();
}
