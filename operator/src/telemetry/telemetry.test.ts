import { afterEach, expect, test } from "vitest";
import { controllerMetricsReference, createControllerMetrics } from "./controller-metrics.ts";
import { createGatewayMetrics, gatewayMetricsReference, MAX_LABELLED_FUNCTIONS, OVERFLOW } from "./gateway-metrics.ts";
import { createLogger } from "./log.ts";
import { startTelemetryServer, type TelemetryServer } from "./server.ts";

let server: TelemetryServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

test("every documented metric is exposed, with the documented labels", async () => {
  const gateway = createGatewayMetrics();
  gateway.observe({ environments: () => ({ starting: 1, idle: 2, busy: 3, retiring: 4 }), peers: () => 1, agents: () => 2 });
  gateway.pools.observe(() => [{ runtime: "nodejs24.x", state: "warm", count: 3 }]);
  const controller = createControllerMetrics();
  controller.observeFunctions(() => ({ Active: 2 }));
  for (const [reference, registry] of [
    [gatewayMetricsReference(), gateway.registry],
    [controllerMetricsReference(), controller.registry],
  ] as const) {
    const exposed = await registry.getMetricsAsJSON();
    for (const metric of reference) {
      expect(exposed.find((m) => m.name === metric.name)).toMatchObject({ help: metric.help, type: metric.type });
    }
    const own = exposed.map((m) => m.name).filter((name) => name.startsWith("kappa_"));
    expect(own.sort()).toEqual(reference.map((m) => m.name));
  }
});

test("an invocation is counted once, billed in GB-seconds, and an error only when the function failed", async () => {
  const metrics = createGatewayMetrics();
  const fn = metrics.forFunction("team", "hello");
  fn.finished({ durationMs: 12, billedMs: 500, memoryMb: 2048, functionError: false });
  fn.finished({ durationMs: 12, billedMs: 500, memoryMb: 2048, functionError: true });
  fn.throttled();
  const text = await metrics.registry.metrics();
  expect(text).toContain('kappa_invocations_total{namespace="team",function="hello"} 2');
  expect(text).toContain('kappa_errors_total{namespace="team",function="hello"} 1');
  expect(text).toContain('kappa_throttles_total{namespace="team",function="hello"} 1');
  expect(text).toContain('kappa_billed_gb_seconds_total{namespace="team",function="hello"} 2');
});

test("functions beyond the limit share one series, and their concurrency adds up", async () => {
  const metrics = createGatewayMetrics();
  for (let i = 0; i < MAX_LABELLED_FUNCTIONS; i++) metrics.forFunction("team", `f${i}`);
  metrics.forFunction("team", "late1").concurrent(2);
  metrics.forFunction("other", "late2").concurrent(3);
  metrics.forFunction("other", "late2").concurrent(1);
  const text = await metrics.registry.metrics();
  expect(text).toContain(`kappa_concurrent_executions{namespace="${OVERFLOW}",function="${OVERFLOW}"} 3`);
  expect(text).not.toContain("late1");
});

test("a deleted function leaves no series behind", async () => {
  const metrics = createGatewayMetrics();
  metrics.forFunction("team", "gone").throttled();
  metrics.forgetFunction("team", "gone");
  expect(await metrics.registry.metrics()).not.toContain("gone");
});

test("readiness and health are answered with their reasons", async () => {
  let reasons: string[] = ["the functions were not listed yet"];
  server = await startTelemetryServer({
    host: "127.0.0.1",
    port: 0,
    registry: createControllerMetrics().registry,
    notReady: () => reasons,
  });
  const base = `http://127.0.0.1:${server.port}`;
  const waiting = await fetch(`${base}/readyz`);
  expect([waiting.status, await waiting.text()]).toEqual([503, "the functions were not listed yet\n"]);
  reasons = [];
  expect((await fetch(`${base}/readyz`)).status).toBe(200);
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
  expect(await (await fetch(`${base}/metrics`)).text()).toContain("kappa_reconciles_total");
  expect((await fetch(`${base}/nothing`)).status).toBe(404);
  expect((await fetch(`${base}/healthz`, { method: "POST" })).status).toBe(405);
});

test("secrets in logged objects are not written", () => {
  const lines: string[] = [];
  const log = createLogger({ component: "gateway", level: "info", destination: { write: (line) => void lines.push(line) } });
  log.info({ hello: { token: "ey.secret" }, secretAccessKey: "AKIA" }, "an agent connected");
  expect(lines.join()).not.toMatch(/ey\.secret|AKIA/);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "info", component: "gateway", msg: "an agent connected" });
});
