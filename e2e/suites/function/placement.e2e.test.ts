/** The public placement reaches the internet and Kappa's own API, and nothing private: tried from inside a function. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, environmentPods, kubectl, pods, pythonFunction } from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";

const name = "e2e-placement";
const neighbour = "e2e-neighbour";
const client = lambdaClient();

/** Connects to every target at once and says which of them let it; a neighbour listens as well, so that a refusal means something. */
const PROBE = `
import concurrent.futures, socket, threading, time

def listen():
    server = socket.create_server(("0.0.0.0", 8000))
    while True:
        server.accept()[0].close()

def reaches(target):
    host, port = target
    try:
        socket.create_connection((host, port), timeout=4).close()
        return True
    except OSError:
        return False

def handler(event, context):
    if event.get("listen"):
        threading.Thread(target=listen, daemon=True).start()
        time.sleep(event["listen"])
        return None
    targets = event["targets"]
    with concurrent.futures.ThreadPoolExecutor(len(targets)) as pool:
        return list(pool.map(reaches, targets))
`;

beforeAll(() => applyAndWait(pythonFunction(name, PROBE, { timeout: 30 }), pythonFunction(neighbour, PROBE, { timeout: 60 })));
afterAll(() => deleteFunctions(name, neighbour));

test("what a function reaches, and what it does not although something answers there", async () => {
  await invoke(client, neighbour, { targets: [["127.0.0.1", 9001]] });
  const neighbourIp = (await environmentPods(neighbour)).find((p) => p.status.phase === "Running")?.status.podIP ?? "";
  const listening = invoke(client, neighbour, { listen: 15 });
  const gateway =
    (await pods("kappa-system", "app.kubernetes.io/component=gateway")).find((p) => p.status.phase === "Running")?.status.podIP ?? "";
  const controller =
    (await pods("kappa-system", "app.kubernetes.io/component=controller")).find((p) => p.status.phase === "Running")?.status.podIP ?? "";
  const node = (await kubectl("get", "nodes", "-o", "jsonpath={.items[0].status.addresses[0].address}")).trim();
  const table: [string, string, number, boolean][] = [
    ["the internet, by name", "www.internet.test", 80, true],
    ["Lambda's API of the gateway", gateway, 8080, true],
    ["the agents' port of the gateway", gateway, 8081, true],
    ["the peers' port of the gateway", gateway, 8082, false],
    ["the gateway's metrics", gateway, 9090, false],
    ["the controller's metrics", controller, 9090, false],
    ["NATS", "kappa-nats.kappa-system.svc.cluster.local", 4222, false],
    ["the API server", "kubernetes.default.svc.cluster.local", 443, false],
    ["a node's kubelet", node, 10250, false],
    ["another function's environment", neighbourIp, 8000, false],
    ["a private network", "private.internet.test", 80, false],
    ["cloud metadata", "169.254.169.254", 80, false],
  ];
  const { payload } = await invoke(client, name, { targets: table.map(([, host, port]) => [host, port]) });
  expect(Object.fromEntries(table.map(([what], i) => [what, payload[i]]))).toEqual(
    Object.fromEntries(table.map(([what, , , reached]) => [what, reached])),
  );
  await listening;
});
