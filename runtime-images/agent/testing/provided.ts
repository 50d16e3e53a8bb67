/** Functions of a provided runtime for tests: programs that speak the Runtime API themselves, wrong calls included. */
import { chmod, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestFile } from "./packages.ts";

/** @returns a folder laid out as /var/runtime of a provided runtime; remove it when done */
export async function providedRuntime(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "kappa-provided-"));
  const bootstrap = join(folder, "bootstrap");
  await writeFile(bootstrap, '#!/bin/sh\nexec "$LAMBDA_TASK_ROOT/bootstrap"\n');
  await chmod(bootstrap, 0o755);
  return folder;
}

const CLIENT = `
const http = require("node:http");
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** Calls the Runtime API; \`send\` writes the body and ends the request. */
function call(method, path, headers = {}, send = (request) => request.end()) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, agent, method, path: "/2018-06-01/runtime" + path, headers }, (response) => {
      let body = "";
      response.on("data", (chunk) => { body += chunk; });
      response.on("end", () => resolve({ status: response.statusCode, headers: response.headers, body }));
    });
    request.on("error", reject);
    send(request);
  });
}
const respond = (id, body, headers) => call("POST", "/invocation/" + id + "/response", headers, (request) => request.end(body));
/** Streams a response. */
const stream = (id, send, headers) =>
  call("POST", "/invocation/" + id + "/response",
    { "Lambda-Runtime-Function-Response-Mode": "streaming", "Content-Type": "text/plain", Trailer: "Lambda-Runtime-Function-Error-Type", ...headers }, send);
/** Writes bytes, waiting when the other side is slow. */
const write = (request, bytes) => new Promise((resolve) => request.write(bytes, resolve));
async function main() {
  for (;;) {
    const { headers, body } = await call("GET", "/invocation/next");
    await handle(headers["lambda-runtime-aws-request-id"], JSON.parse(body));
  }
}
`;

/** @param source JavaScript that defines `async function handle(id, event)`, which answers the event; `call`, `respond`, `stream`, `write` and `sleep` are there */
export function providedFunction(source: string): Record<string, TestFile> {
  return { bootstrap: { content: `#!${process.execPath}\n${CLIENT}\n${source}\nmain();\n`, mode: 0o100755 } };
}
