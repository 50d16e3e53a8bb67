import { setImmediate } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { kubectl, useApiServer } from "../../testing/index.ts";
import { systemClock } from "./clock.ts";
import { EventRecorder, KubeClient, type KubeObject, type RequestSample, Resources } from "./index.ts";
import { TcpProxy } from "./testing/tcp-proxy.ts";

interface EventObject extends KubeObject {
  reason: string;
  note: string;
  series?: { count: number; lastObservedTime: string };
}

const server = useApiServer();
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function recording() {
  const proxy = new TcpProxy(server().url);
  const samples: RequestSample[] = [];
  const client = KubeClient.fromKubeconfig(server().kubeconfig.replaceAll(server().url, `https://127.0.0.1:${await proxy.listen()}`), {
    onRequest: (sample) => samples.push(sample),
  });
  const errors: unknown[] = [];
  // A clock that the test moves on; what waits is called when it has been moved past.
  let offset = 0;
  const clock = { ...systemClock, monotonic: () => performance.now() + offset };
  const recorder = new EventRecorder(client, {
    reportingController: "kappa.dev/test",
    reportingInstance: "test-0",
    onError: (error) => errors.push(error),
    clock,
  });
  cleanups.push(async () => {
    await recorder.stop();
    await client.close();
    await proxy.close();
  });
  const events = async (name: string) =>
    (await client.list<EventObject>(Resources.event, { namespace: "default" })).items.filter((event) =>
      event.metadata.name.startsWith(`${name}.`),
    );
  return { recorder, proxy, client, errors, samples, events, pass: (ms: number) => (offset += ms) };
}
const about = (name: string): KubeObject => ({
  apiVersion: "kappa.dev/v1alpha1",
  kind: "Function",
  metadata: { namespace: "default", name, uid: `uid-of-${name}` },
});
const failed = (name: string, note = "the zip has no end") => ({
  regarding: about(name),
  type: "Warning" as const,
  reason: "PackageInvalid",
  action: "Reconcile",
  note,
});

it("writes an event that kubectl shows with the object", async () => {
  const { recorder, events } = await recording();
  recorder.record(failed("shown"));
  await expect.poll(() => events("shown")).toHaveLength(1);
  const result = await kubectl(server().kubeconfigPath, ["events", "-n", "default", "--for", "function.kappa.dev/shown"]);
  expect(result.stdout).toMatch(/Warning\s+PackageInvalid\s+Function\/shown\s+the zip has no end/);
});

it("makes one event with a count of many equal ones, and writes the count at most twice a minute", async () => {
  const { recorder, events, samples, pass } = await recording();
  for (let i = 0; i < 100; i++) recorder.record(failed("repeated"));
  await expect.poll(() => events("repeated")).toHaveLength(1);
  recorder.record(failed("repeated"));
  pass(30_000);
  recorder.record(failed("repeated"));
  await recorder.stop();
  const writes = samples.filter((sample) => sample.resource === "events" && sample.verb !== "list").map((sample) => sample.verb);
  expect(writes).toEqual(["create"]);
});

it("counts up the series once its time has come", async () => {
  const { recorder, events, samples, pass } = await recording();
  recorder.record(failed("series"));
  await expect.poll(() => events("series")).toHaveLength(1);
  // The half minute begins with the answer, which the recorder may get after the API server shows the event.
  await expect.poll(() => samples.map(({ verb }) => verb)).toContain("create");
  await setImmediate();
  pass(30_001);
  for (let i = 0; i < 4; i++) recorder.record(failed("series"));
  await expect.poll(async () => (await events("series"))[0]?.series?.count).toBe(5);
  expect(await events("series")).toHaveLength(1);
});

it("keeps apart what differs, and begins anew after a long pause", async () => {
  const { recorder, events, pass } = await recording();
  recorder.record(failed("apart", "one"));
  recorder.record(failed("apart", "two"));
  await expect.poll(() => events("apart")).toHaveLength(2);
  pass(6 * 60_000);
  recorder.record(failed("apart", "one"));
  await expect.poll(() => events("apart")).toHaveLength(3);
});

it("shortens a note that is too long for the API, between characters", async () => {
  const { recorder, events } = await recording();
  recorder.record(failed("long", "ä".repeat(2_000)));
  await expect.poll(() => events("long")).toHaveLength(1);
  const [event] = await events("long");
  expect(event?.note).toMatch(/^ä{510}…$/);
});

it("never holds up or fails its caller while the API server is away, and writes afterwards", async () => {
  const { recorder, events, errors, proxy } = await recording();
  proxy.cut();
  recorder.record(failed("away"));
  await expect.poll(() => errors.length).toBeGreaterThan(0);
  proxy.restore();
  // A new one does not wait for the next try of the old one.
  recorder.record(failed("away", "another"));
  await expect.poll(async () => (await events("away")).map((event) => event.note)).toEqual(["another"]);
  await expect.poll(() => events("away"), { timeout: 15_000 }).toHaveLength(2);
});

it("bounds its rate and its memory: of a flood the first few are written at once, and what is too much is dropped and told", async () => {
  const { recorder, samples, errors } = await recording();
  for (let i = 0; i < 2_500; i++) recorder.record(failed(`flood-${i}`));
  expect(errors).toHaveLength(500);
  await expect.poll(() => samples.length).toBeGreaterThanOrEqual(25);
  const atOnce = samples.length;
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  // Five a second from here on, whatever the machine is busy with.
  expect(samples.length - atOnce).toBeLessThan(50);
});
