/** The Kubernetes API by way of `kubectl proxy`: a process for each question would take a good part of the machine. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { clusterEnv } from "../suites/support/cluster.ts";

export interface Api {
  get<T>(path: string): Promise<T>;
  /** What is no JSON, such as a log. */
  text(path: string): Promise<string>;
  /** Makes an object; what is there stays. */
  create(path: string, object: object): Promise<void>;
  /** Does not wait until it is gone. Nothing when it is not there. */
  remove(path: string): Promise<void>;
  mergePatch(path: string, patch: object): Promise<void>;
}

/** Has the API behind a port of the loopback while `use` runs. */
export async function withApi<T>(use: (api: Api) => Promise<T>): Promise<T> {
  const proxy = spawn("kubectl", ["proxy", "--port=0"], { env: clusterEnv(), stdio: ["ignore", "pipe", "inherit"] });
  try {
    const first = await createInterface({ input: proxy.stdout })[Symbol.asyncIterator]().next();
    const port = /127\.0\.0\.1:(\d+)/.exec(first.value ?? "")?.[1];
    if (port === undefined) throw new Error(`kubectl proxy did not start: ${first.value ?? ""}`);
    return await use(apiAt(`http://127.0.0.1:${port}`));
  } finally {
    proxy.kill();
  }
}

function apiAt(base: string): Api {
  const ask = async (method: string, path: string, body?: object, type = "application/json"): Promise<string> => {
    const content = body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": type } };
    const response = await fetch(`${base}${path}`, { method, ...content });
    const text = await response.text();
    if (!response.ok && !(method === "DELETE" && response.status === 404) && !(method === "POST" && response.status === 409))
      throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
    return text;
  };
  return {
    get: async <T>(path: string) => JSON.parse(await ask("GET", path)) as T,
    text: (path) => ask("GET", path),
    create: async (path, object) => void (await ask("POST", path, object)),
    remove: async (path) => void (await ask("DELETE", path)),
    mergePatch: async (path, patch) => void (await ask("PATCH", path, patch, "application/merge-patch+json")),
  };
}
