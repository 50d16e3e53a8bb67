import { afterAll, beforeAll } from "vitest";
import { type ApiServerOptions, startApiServer, type TestApiServer } from "./api-server.ts";
import { installCrds } from "./kubectl.ts";
import { type NatsOptions, startNats, type TestNats } from "./nats-server.ts";

/** One API server for the tests of a file, with Kappa's CRDs installed. Call the result inside of tests and hooks. */
export function useApiServer(options: ApiServerOptions = {}): () => TestApiServer {
  return useServer("API server", async () => {
    const server = await startApiServer(options);
    try {
      await installCrds(server.kubeconfigPath);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  });
}

/** One NATS server for the tests of a file. Call the result inside of tests and hooks. */
export function useNats(options: NatsOptions = {}): () => TestNats {
  return useServer("NATS server", () => startNats(options));
}

function useServer<T extends { stop(): Promise<void> }>(name: string, start: () => Promise<T>): () => T {
  let server: T | undefined;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(async () => {
    await server?.stop();
  });
  return () => {
    if (server === undefined) throw new Error(`the ${name} runs inside of tests and hooks only`);
    return server;
  };
}
