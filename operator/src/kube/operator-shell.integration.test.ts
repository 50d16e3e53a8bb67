import { afterEach, expect, it } from "vitest";
import { useApiServer } from "../../testing/index.ts";
import { KubeClient, type KubeObject, Resources, type WorkQueueSample } from "./index.ts";
import { type OperatorLogger, OperatorShell, type ResourceEvent } from "./operator-shell.ts";
import { TcpProxy } from "./testing/tcp-proxy.ts";

interface Fn extends KubeObject {
  spec: object;
  status?: { state?: string; stateReason?: string };
}

const server = useApiServer();
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

type Handler = (event: ResourceEvent<Fn>, shell: TestShell) => Promise<{ requeueAfterMs?: number } | undefined>;

/** An operator as a controller writes it; what a subclass may do is opened up for the test. */
class TestShell extends OperatorShell {
  #handler: Handler;

  constructor(client: KubeClient, handler: Handler, logger: OperatorLogger, samples: WorkQueueSample[]) {
    super({ client, logger, onResult: (sample) => samples.push(sample) });
    this.#handler = handler;
  }

  protected override async init(): Promise<void> {
    await this.watchResource<Fn>("kappa.dev", "v1alpha1", "functions", (event) => this.#handler(event, this));
  }

  finalizer = (event: ResourceEvent<Fn>, action: () => Promise<void>): Promise<boolean> =>
    this.handleResourceFinalizer(event as unknown as Parameters<TestShell["handleResourceFinalizer"]>[0], "kappa.dev/test", action);
  setStatus = this.setResourceStatus;
  patchStatus = this.patchResourceStatus;
  register = (file: string): Promise<unknown> => this.registerCustomResourceDefinition(file);
  watchUnknown = (): Promise<void> => this.watchResource("kappa.dev", "v1alpha1", "unknowns", async () => {});
}

async function shellOf(handler: Handler) {
  const proxy = new TcpProxy(server().url);
  const client = KubeClient.fromKubeconfig(server().kubeconfig.replaceAll(server().url, `https://127.0.0.1:${await proxy.listen()}`));
  const direct = KubeClient.fromKubeconfig(server().kubeconfig);
  const log: string[] = [];
  const line = (level: string) => (message: string) => log.push(`${level} ${message}`);
  const samples: WorkQueueSample[] = [];
  const shell = new TestShell(
    client,
    handler,
    { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") },
    samples,
  );
  cleanups.push(async () => {
    await shell.stop();
    for (const { metadata } of (await direct.list<Fn>(Resources.function)).items) {
      await direct.mergePatch(Resources.function, metadata, { metadata: { finalizers: null } });
      await direct.delete(Resources.function, { ...metadata });
    }
    await client.close();
    await direct.close();
    await proxy.close();
  });
  return { shell, direct, proxy, log, samples };
}
const at = (name: string) => ({ namespace: "default", name });
const fn = (name: string): Fn => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Function",
  metadata: at(name),
  spec: { runtime: "python3.11", handler: "main.handler", code: { inline: "def handler(event, context):\n  return event\n" } },
});
const touch = (client: KubeClient, name: string, value: string) =>
  client.mergePatch(Resources.function, at(name), { metadata: { annotations: { touched: value } } });
const told = (events: ResourceEvent<Fn>[]) => events.map((event) => `${event.type} ${event.meta.namespace}/${event.meta.name}`);

it("tells of an object: added, modified, deleted, with what it is about", async () => {
  const events: ResourceEvent<Fn>[] = [];
  const { shell, direct } = await shellOf(async (event) => {
    events.push(event);
    return undefined;
  });
  await direct.create(Resources.function, fn("told"));
  await shell.start();
  await expect.poll(() => told(events)).toEqual(["ADDED default/told"]);
  expect(events[0]?.meta).toMatchObject({ id: "functions.kappa.dev/v1alpha1", apiVersion: "kappa.dev/v1alpha1", kind: "Function" });
  expect(events[0]?.meta.resourceVersion).toBe(events[0]?.object.metadata.resourceVersion);
  await touch(direct, "told", "1");
  await expect.poll(() => told(events)).toEqual(["ADDED default/told", "MODIFIED default/told"]);
  await direct.delete(Resources.function, at("told"));
  await expect.poll(() => told(events)).toEqual(["ADDED default/told", "MODIFIED default/told", "DELETED default/told"]);
  expect(events[2]?.object.metadata.annotations).toEqual({ touched: "1" });
});

it("calls a handler that fails again, as for the first time, says so, and lets others pass", async () => {
  const seen: string[] = [];
  let failing = true;
  const { shell, direct, log, samples } = await shellOf(async (event) => {
    seen.push(`${event.type} ${event.meta.name}`);
    if (failing && event.meta.name === "fails") throw new Error("of the handler");
    return undefined;
  });
  await shell.start();
  await direct.create(Resources.function, fn("fails"));
  await direct.create(Resources.function, fn("passes"));
  await expect.poll(() => seen.filter((line) => line === "ADDED fails").length).toBeGreaterThan(2);
  expect(seen).toContain("ADDED passes");
  failing = false;
  await expect.poll(() => samples.some((sample) => sample.key === "default/fails" && sample.outcome === "success")).toBe(true);
  expect(log.some((line) => /^error functions default\/fails failed 1 times, next try in .* ms: of the handler$/.test(line))).toBe(true);
  await touch(direct, "fails", "1");
  await expect.poll(() => seen).toContain("MODIFIED fails");
});

it("comes back to an object when its handler asked for it", async () => {
  let calls = 0;
  const { shell, direct } = await shellOf(async () => {
    calls++;
    return { requeueAfterMs: 20 };
  });
  await direct.create(Resources.function, fn("again"));
  await shell.start();
  await expect.poll(() => calls).toBeGreaterThan(3);
});

it("tells of a deletion that it did not see, and of what came in its place", async () => {
  const events: ResourceEvent<Fn>[] = [];
  const { shell, direct, proxy } = await shellOf(async (event) => {
    events.push(event);
    return undefined;
  });
  const first = await direct.create(Resources.function, fn("anew"));
  await shell.start();
  await expect.poll(() => told(events)).toEqual(["ADDED default/anew"]);
  proxy.cut();
  await direct.delete(Resources.function, at("anew"));
  const second = await direct.create(Resources.function, fn("anew"));
  proxy.restore();
  await expect.poll(() => told(events)).toEqual(["ADDED default/anew", "DELETED default/anew", "ADDED default/anew"]);
  expect(events.map((event) => event.object.metadata.uid)).toEqual([first.metadata.uid, first.metadata.uid, second.metadata.uid]);
});

it("keeps the finalizer protocol of stock: adds it, acts before the deletion, takes it away, and tries again what failed", async () => {
  const actions: string[] = [];
  const { shell, direct } = await shellOf(async (event, self) => {
    if (event.type === "DELETED") return undefined;
    await self.finalizer(event, async () => {
      actions.push(event.meta.name);
      if (actions.length === 1) throw new Error("not yet");
    });
    return undefined;
  });
  await shell.start();
  await direct.create(Resources.function, fn("final"));
  await expect.poll(async () => (await direct.get(Resources.function, at("final")))?.metadata.finalizers).toEqual(["kappa.dev/test"]);
  await direct.delete(Resources.function, at("final"));
  await expect.poll(() => direct.get(Resources.function, at("final"))).toBeUndefined();
  expect(actions).toEqual(["final", "final"]);
});

it("writes a status for whoever saw the last version, and says conflict to others", async () => {
  const events: ResourceEvent<Fn>[] = [];
  const { shell, direct } = await shellOf(async (event) => {
    events.push(event);
    return undefined;
  });
  await direct.create(Resources.function, fn("status"));
  await shell.start();
  await expect.poll(() => events.length).toBe(1);
  const [event] = events;
  if (!event) throw new Error("there is an event");
  const next = await shell.setStatus(event.meta, { state: "Pending", stateReason: "one" });
  expect(await direct.get<Fn>(Resources.function, at("status"))).toMatchObject({
    spec: { handler: "main.handler" },
    status: { state: "Pending" },
  });
  await expect(shell.setStatus(event.meta, { state: "Active" })).rejects.toMatchObject({ conflict: true, retryable: true });
  await shell.patchStatus(next, { state: "Active" });
  expect((await direct.get<Fn>(Resources.function, at("status")))?.status).toEqual({ state: "Active", stateReason: "one" });
  await expect(shell.patchStatus(next, { state: "Pending" })).rejects.toMatchObject({ conflict: true });
});

it("stops when it is told to: what is being handled ends, and nothing follows", async () => {
  const events: string[] = [];
  let release = () => {};
  const { shell, direct } = await shellOf(async (event) => {
    events.push(event.meta.name);
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    events.push("done");
    return undefined;
  });
  await direct.create(Resources.function, fn("last"));
  await shell.start();
  await expect.poll(() => events).toEqual(["last"]);
  const stopping = shell.stop();
  await direct.create(Resources.function, fn("late"));
  release();
  await stopping;
  expect(events).toEqual(["last", "done"]);
});

it("can be stopped while it still waits for the API server", async () => {
  const { shell, proxy, log } = await shellOf(async () => undefined);
  proxy.cut();
  const starting = shell.start();
  await expect.poll(() => log.some((line) => line.startsWith("warn watching functions:"))).toBe(true);
  await shell.stop();
  await starting;
});

it("says what it does not offer", async () => {
  const { shell } = await shellOf(async () => undefined);
  await expect(shell.register("crds/functions.yaml")).rejects.toMatchObject({ code: "K300" });
  await expect(shell.watchUnknown()).rejects.toThrow(/unknowns of kappa.dev\/v1alpha1/);
});
