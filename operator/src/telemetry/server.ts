import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";

export interface TelemetryServerOptions {
  /** Address to listen on; every one when absent. */
  host?: string;
  /** 0 takes any free port. */
  port: number;
  registry: Registry;
  /** Why the process cannot serve, one sentence each; empty when it can. Shown by `/readyz`. */
  notReady: () => readonly string[];
  /** Why the process should be restarted; empty when it should not. Shown by `/healthz`. */
  unhealthy?: () => readonly string[];
}

export interface TelemetryServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `/metrics`, `/healthz` (liveness) and `/readyz` (readiness): 200 or 503 with the reasons as text. */
export async function startTelemetryServer({
  host,
  port,
  registry,
  notReady,
  unhealthy,
}: TelemetryServerOptions): Promise<TelemetryServer> {
  const server = createServer((request, response) => {
    const path = request.url?.split("?", 1)[0];
    if (request.method !== "GET" && request.method !== "HEAD") return text(response, 405, "only GET is served here\n");
    if (path === "/healthz") return probe(response, unhealthy?.() ?? []);
    if (path === "/readyz") return probe(response, notReady());
    if (path === "/metrics") return void metrics(request, response, registry);
    text(response, 404, "served here: /metrics, /healthz, /readyz\n");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function probe(response: ServerResponse, reasons: readonly string[]): void {
  if (reasons.length === 0) text(response, 200, "ok\n");
  else text(response, 503, `${reasons.join("\n")}\n`);
}

async function metrics(request: IncomingMessage, response: ServerResponse, registry: Registry): Promise<void> {
  try {
    const body = await registry.metrics();
    response.writeHead(200, { "content-type": registry.contentType, "content-length": Buffer.byteLength(body) });
    response.end(request.method === "HEAD" ? undefined : body);
  } catch (error) {
    // A collector that throws must not end the process whose state it reports.
    text(response, 500, `metrics could not be collected: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "content-length": Buffer.byteLength(body) });
  response.end(body);
}
