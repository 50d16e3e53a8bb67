import { createServer } from "node:http";

/** The least that Node.js can do with a request: read its body and answer with a small document. What all else is measured against. */
export function serve(port: number): void {
  const body = Buffer.from("{}");
  const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
    request.resume();
    request.once("end", () => {
      response.writeHead(200, { "content-type": "application/json", "content-length": body.length });
      response.end(body);
    });
  });
  server.listen(port);
  process.once("SIGTERM", () => process.exit(0));
}
