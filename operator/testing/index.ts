/** Real servers for tests: the Kubernetes API and NATS, on loopback, gone afterwards. */
export { type ApiServerOptions, startApiServer, type TestApiServer } from "./api-server.ts";
export { installCrds, type KubectlResult, kubectl } from "./kubectl.ts";
export { type NatsOptions, startNats, type TestNats } from "./nats-server.ts";
export { useApiServer, useNats } from "./vitest.ts";
