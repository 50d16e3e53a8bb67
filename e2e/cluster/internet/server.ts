import { createServer } from "node:http";

/**
 * The local internet's only web server: tells on port 80 of every address of its namespace who asked what, as JSON. Started by internet.ts
 * inside that namespace.
 */
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const answer = {
      client: request.socket.remoteAddress?.replace(/^::ffff:/, ""),
      server: request.socket.localAddress?.replace(/^::ffff:/, ""),
      method: request.method,
      host: request.headers.host,
      path: request.url,
      body: Buffer.concat(chunks).toString("utf8"),
    };
    response.writeHead(200, { "content-type": "application/json" }).end(`${JSON.stringify(answer)}\n`);
  });
});
server.listen(80);
