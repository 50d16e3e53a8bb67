import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import { KappaError } from "../domain/errors.ts";
import { type Credentials, credentials, type TlsMaterial } from "./credentials.ts";

/** Reads a kubeconfig, by path or as text. @throws KappaError */
export function loadKubeconfig(pathOrYaml: string): KubeConfig {
  const config = new KubeConfig();
  try {
    if (pathOrYaml.includes("\n") || pathOrYaml.trimStart().startsWith("{")) config.loadFromString(pathOrYaml);
    else config.loadFromFile(pathOrYaml);
  } catch (cause) {
    throw new KappaError("K300", "the kubeconfig cannot be read", { cause });
  }
  return config;
}

/** What the current context says now: exec plugins and token files are asked again by client-node when theirs expired. */
export async function kubeconfigCredentials(config: KubeConfig): Promise<Credentials> {
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new KappaError("K300", "the kubeconfig has no current context with a cluster");
  if (cluster.proxyUrl) throw new KappaError("K300", `proxy-url of cluster ${cluster.name} is not supported: use a kubeconfig without it`);
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(options.headers ?? {})) if (value !== undefined) headers[name.toLowerCase()] = String(value);
  if (options.auth) headers.authorization = `Basic ${Buffer.from(options.auth).toString("base64")}`;
  const tls: TlsMaterial = {};
  if (options.ca) tls.ca = options.ca as Buffer;
  if (options.cert) tls.cert = options.cert as Buffer;
  if (options.key) tls.key = options.key as Buffer;
  if (options.servername) tls.servername = options.servername;
  if (options.rejectUnauthorized === false) tls.rejectUnauthorized = false;
  return credentials(cluster.server.replace(/\/+$/, ""), tls, headers);
}
