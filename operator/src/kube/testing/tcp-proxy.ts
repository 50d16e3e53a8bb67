import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** A network between client and server that a test can break: on loopback, byte for byte. */
export class TcpProxy {
  #target: { host: string; port: number };
  #server: Server;
  #pairs = new Set<{ client: Socket; upstream: Socket }>();
  #refusing = false;
  #accepted = 0;

  /** @param target URL of the real server */
  constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#target = { host: hostname, port: Number(port) };
    this.#server = createServer((client) => this.#accept(client));
  }

  /** @returns the port it listens on, on 127.0.0.1 */
  async listen(): Promise<number> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("a listening TCP server has a port");
    return address.port;
  }

  /** Connections that were ever let through. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Resets every connection, and every new one, until {@link TcpProxy.restore}. */
  cut(): void {
    this.#refusing = true;
    for (const { client, upstream } of this.#pairs) {
      client.resetAndDestroy();
      upstream.destroy();
    }
  }

  /** What is connected now stays connected and hears nothing any more, as when a machine goes away. New connections work. */
  freeze(): void {
    for (const { client, upstream } of this.#pairs) {
      client.unpipe();
      upstream.unpipe();
    }
  }

  /** Lets what was frozen flow again, nothing lost. */
  thaw(): void {
    for (const { client, upstream } of this.#pairs) client.pipe(upstream).pipe(client);
  }

  restore(): void {
    this.#refusing = false;
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.resetAndDestroy();
      return;
    }
    this.#accepted++;
    const upstream = connect(this.#target.port, this.#target.host);
    const pair = { client, upstream };
    this.#pairs.add(pair);
    client.pipe(upstream).pipe(client);
    for (const socket of [client, upstream]) {
      socket.on("error", () => {
        // The other end hears of it by the close.
      });
      socket.on("close", () => {
        this.#pairs.delete(pair);
        client.destroy();
        upstream.destroy();
      });
    }
  }
}
