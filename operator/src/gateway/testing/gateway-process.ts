/** A gateway in a process of its own, so that a test can kill it. Told what to do over the channel to its parent. */
import { connectBus } from "../../bus/index.ts";
import { KubeClient } from "../../kube/client.ts";
import { createGatewayMetrics } from "../../telemetry/gateway-metrics.ts";
import { createLogger } from "../../telemetry/log.ts";
import { type Gateway, type GatewayConfig, startGateway } from "../index.ts";
import type { PeerCandidate } from "../peer-directory.ts";
import { TestDirectory } from "./test-directory.ts";

export interface StartMessage {
  type: "start";
  kubeconfig: string;
  nats: { url: string; seed: string };
  config: GatewayConfig;
}
export type ParentMessage = StartMessage | { type: "candidates"; candidates: PeerCandidate[] } | { type: "stop"; graceMs: number };
export type ChildMessage = { type: "listening"; ports: Gateway["ports"] } | { type: "ready" } | { type: "stopped" };

const directory = new TestDirectory();
let gateway: Gateway | undefined;

function say(message: ChildMessage): void {
  process.send?.(message);
}

async function start({ kubeconfig, nats, config }: StartMessage): Promise<void> {
  const bus = await connectBus({ servers: nats.url, name: config.instance, seed: nats.seed });
  const client = KubeClient.fromKubeconfig(kubeconfig);
  const log = createLogger({ component: "gateway", level: "info", instance: config.instance });
  gateway = await startGateway({ client, bus, metrics: createGatewayMetrics(), log, directory }, config);
  say({ type: "listening", ports: gateway.ports });
  const timer = setInterval(() => {
    if (gateway?.notReady().length !== 0) return;
    clearInterval(timer);
    say({ type: "ready" });
  }, 20);
}

async function stop(graceMs: number): Promise<void> {
  await gateway?.stop(graceMs);
  say({ type: "stopped" });
  process.disconnect?.();
  process.exit(0);
}

process.on("message", (message: ParentMessage) => {
  if (message.type === "start") void start(message);
  else if (message.type === "candidates") directory.replace(message.candidates);
  else void stop(message.graceMs);
});
process.on("disconnect", () => process.exit(0));
