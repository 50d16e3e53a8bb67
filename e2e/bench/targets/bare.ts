import { apply } from "../../suites/support/cluster.ts";
import type { Target } from "../load/messages.ts";
import { addressOf, pod, type Site } from "../site.ts";

const PORT = 8080;

/** A bare Node.js HTTP server in a pod: what a request costs at least. */
export async function bareServer({ image }: Site): Promise<Target> {
  await apply(pod("bare", image, ["serve", String(PORT)], { readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 } }));
  const origin = `http://${await addressOf("bare")}:${PORT}`;
  return { origin, method: "POST", path: "/", headers: { "content-type": "application/json" }, body: "{}" };
}
