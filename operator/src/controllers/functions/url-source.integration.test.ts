import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { KappaError } from "../../domain/errors.ts";
import { createUrlSource, type UrlSource } from "./url-source.ts";

const servers: Server[] = [];
const sources: UrlSource[] = [];
afterEach(async () => {
  await Promise.all(sources.splice(0).map((source) => source.close()));
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
function source(policy: { allowed?: string[]; refused?: string[] } = { allowed: ["127.0.0.0/8", "::1/128"] }): UrlSource {
  const made = createUrlSource({ allowed: policy.allowed ?? [], refused: () => policy.refused ?? [] });
  sources.push(made);
  return made;
}
const never = new AbortController().signal;
async function read(from: UrlSource, url: string, maxBytes: number, signal = never): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of await from.download(url, maxBytes, signal)) pieces.push(piece);
  return Buffer.concat(pieces);
}
async function failure(promise: Promise<unknown>): Promise<KappaError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof KappaError) return error;
  throw new Error(`a KappaError was expected, not ${String(error)}`);
}

describe("download", () => {
  test("returns the body", async () => {
    const url = await serve((_, response) => response.end("package"));
    expect((await read(source(), `${url}/p.zip`, 100)).toString()).toBe("package");
  });

  test("follows redirects", async () => {
    const url = await serve((request, response) =>
      request.url === "/a" ? response.writeHead(302, { location: "/b" }).end() : response.end(request.url),
    );
    expect((await read(source(), `${url}/a`, 100)).toString()).toBe("/b");
  });

  test("gives up on endless redirects", async () => {
    const url = await serve((_, response) => response.writeHead(302, { location: "/again" }).end());
    expect(await failure(read(source(), url, 100))).toMatchObject({
      code: "K204",
      message: expect.stringContaining("redirects more than 5 times"),
    });
  });

  test("does not follow to another scheme", async () => {
    const url = await serve((_, response) => response.writeHead(302, { location: "file:///etc/passwd" }).end());
    expect(await failure(read(source(), url, 100))).toMatchObject({
      code: "K204",
      message: expect.stringContaining("neither an http nor an https"),
    });
  });

  test("says which status it got", async () => {
    const url = await serve((_, response) => response.writeHead(403).end("no"));
    expect(await failure(read(source(), `${url}/p.zip?signature=secret`, 100))).toMatchObject({
      code: "K204",
      message: `${url}/p.zip answered with status 403`,
    });
  });

  test("refuses a body that declares too much", async () => {
    const url = await serve((_, response) => response.writeHead(200, { "content-length": "1000" }).end(Buffer.alloc(1000)));
    expect(await failure(read(source(), url, 999))).toMatchObject({ code: "K205" });
  });

  test("leaves a body that is not read to its end", async () => {
    let gone = () => {};
    const closed = new Promise<void>((resolve) => (gone = resolve));
    const url = await serve((_, response) => {
      response.on("close", gone);
      const more = () => response.write(Buffer.alloc(65_536), (error) => (error === null || error === undefined ? more() : undefined));
      more();
    });
    let length = 0;
    for await (const piece of await source().download(url, 1_000_000, never)) {
      length += piece.length;
      if (length > 1_000_000) break;
    }
    await closed;
  });

  test("notices a body that ends too early", async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { "content-length": "1000" }).write("half");
      setTimeout(() => response.destroy(), 50);
    });
    expect(await failure(read(source(), url, 10_000))).toMatchObject({ code: "K204" });
  });

  test("says when nothing listens", async () => {
    expect(await failure(read(source(), "http://127.0.0.1:1/", 100))).toMatchObject({ code: "K204", retryable: true });
  });

  test("ends when it is told to", async () => {
    const url = await serve(() => {});
    const abort = new AbortController();
    const failed = failure(read(source(), url, 100, abort.signal));
    abort.abort();
    expect(await failed).toMatchObject({ code: "K204" });
  });
});

describe("what is not public is refused", () => {
  test.each([
    "http://127.0.0.1:1/",
    "http://[::1]:1/",
    "http://[::ffff:127.0.0.1]:1/",
    "http://169.254.169.254/latest/meta-data",
    "http://10.96.0.1/",
    "http://0x7f000001:1/",
    "http://2130706433:1/",
  ])("%s", async (url) => {
    expect(await failure(read(source({}), url, 100))).toMatchObject({
      code: "K204",
      message: expect.stringContaining("not a public address"),
    });
  });

  test("a name that resolves to a private address", async () => {
    expect(await failure(read(source({}), "http://localhost:1/", 100))).toMatchObject({
      code: "K204",
      message: expect.stringMatching(/localhost is .* which is not a public address; .*controller.urlAllowCidrs/),
    });
  });

  test("a redirect to a private address", async () => {
    const url = await serve((_, response) => response.writeHead(302, { location: "http://169.254.169.254/" }).end());
    expect(await failure(read(source({ allowed: ["127.0.0.0/8"] }), url, 100))).toMatchObject({
      message: expect.stringContaining("169.254.169.254"),
    });
  });

  test("the cluster's own public addresses", async () => {
    expect(await failure(read(source({ refused: ["203.0.113.7"] }), "http://203.0.113.7:1/", 100))).toMatchObject({
      message: expect.stringContaining("not a public address"),
    });
  });

  test("unless it was allowed", async () => {
    const url = await serve((_, response) => response.end("x"));
    expect(await read(source({ allowed: ["127.0.0.1/32"], refused: ["127.0.0.0/8"] }), url, 100)).toHaveLength(1);
  });
});
