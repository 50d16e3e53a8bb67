import { afterEach, expect, test, vi } from "vitest";
import { systemClock } from "../kube/clock.ts";
import type { KubeClient } from "../kube/index.ts";
import { type KubeObject, type ResourceRef, Resources } from "../kube/objects.ts";
import type { WatchEvent } from "../kube/watch.ts";
import { Annotation, Label } from "../resources/labels.ts";
import { createLogger } from "../telemetry/log.ts";
import { Accounts } from "./accounts.ts";

let accounts: Accounts | undefined;
afterEach(() => accounts?.stop());

/** Accounts over an API server that shows the namespaces that a test gives it, and nothing else. */
async function setup(...listed: KubeObject[]) {
  const events: WatchEvent<KubeObject>[] = [];
  let wake = () => {};
  const client = {
    async listEach(resource: ResourceRef, _options: object, each: (object: KubeObject) => void) {
      if (resource === Resources.namespace) for (const object of listed) each(object);
      return "1";
    },
    async *watch(resource: ResourceRef, { signal }: { signal: AbortSignal }) {
      while (!signal.aborted) {
        if (resource === Resources.namespace) yield* events.splice(0);
        await new Promise<void>((resolve) => {
          if (resource === Resources.namespace) wake = resolve;
          if (resource === Resources.namespace && events.length > 0) resolve();
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
    },
  };
  const made = new Accounts({
    client: client as unknown as KubeClient,
    clock: systemClock,
    log: createLogger({ component: "gateway", level: "silent" }),
    sink: { putPod() {}, removePod() {}, putKey() {}, removeKey() {} },
  });
  accounts = made;
  made.start();
  await made.synced();
  return {
    accounts: made,
    show(type: "MODIFIED" | "DELETED", object: KubeObject) {
      events.push({ type, object });
      wake();
    },
  };
}

let version = 1;
function namespace(name: string, year: number, accountId: string): KubeObject {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name,
      uid: `uid-of-${name}`,
      resourceVersion: String(++version),
      creationTimestamp: `${year}-01-01T00:00:00Z`,
      labels: { [Label.enabled]: "true" },
      annotations: { [Annotation.accountId]: accountId },
    },
  };
}

const ID = "111111111111";

test.each([
  ["old", "copy"],
  ["copy", "old"],
])("of two namespaces with one account id the older has it, seen %s first", async (...order) => {
  const years: Record<string, number> = { old: 2025, copy: 2026 };
  const { accounts } = await setup(...order.map((name) => namespace(name, years[name] ?? 0, ID)));
  expect(accounts.namespaceOf(ID)).toBe("old");
});

test("an id that one of two namespaces gave up, or took with it, leads to the other", async () => {
  const { accounts, show } = await setup(namespace("copy", 2026, ID), namespace("old", 2025, ID));
  show("MODIFIED", namespace("copy", 2026, "222222222222"));
  await vi.waitFor(() => expect(accounts.namespaceOf("222222222222")).toBe("copy"));
  expect(accounts.namespaceOf(ID)).toBe("old");
  show("MODIFIED", namespace("copy", 2026, ID));
  await vi.waitFor(() => expect(accounts.namespaceOf("222222222222")).toBeUndefined());
  show("DELETED", namespace("old", 2025, ID));
  await vi.waitFor(() => expect(accounts.namespaceOf(ID)).toBe("copy"));
});
