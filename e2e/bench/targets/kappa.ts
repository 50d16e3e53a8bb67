/** Kappa's part in the bench: its gateways, and functions whose owner is known. */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { owner } from "../../../operator/src/domain/rendezvous.ts";
import { lambdaFunction, type Runtime } from "../../suites/runtimes/support/functions.ts";
import { javaPackage } from "../../suites/runtimes/support/packages.ts";
import { zipOf } from "../../suites/runtimes/support/zip.ts";
import { apply, kubectl, pods } from "../../suites/support/cluster.ts";
import { answered } from "../load/client.ts";
import type { Target } from "../load/messages.ts";
import { NAMESPACE, NODE, type Site } from "../site.ts";

export interface Gateway {
  name: string;
  address: string;
  node: string;
}

/** The gateways that take requests now. */
export async function gateways(): Promise<Gateway[]> {
  const running = (await pods("kappa-system", "app.kubernetes.io/name=kappa,app.kubernetes.io/component=gateway")).filter(
    ({ metadata, status }) => metadata.deletionTimestamp === undefined && status.phase === "Running",
  );
  return running.map(({ metadata, spec, status }) => ({ name: metadata.name, address: status.podIP ?? "", node: spec.nodeName ?? "" }));
}

/** The gateway that owns a function of the bench's account: the same rule that the gateways have. */
export function ownerOf(all: readonly Gateway[], functionName: string): Gateway {
  const name = owner(
    all.map((gateway) => gateway.name),
    `${NAMESPACE}/${functionName}`,
  );
  const found = all.find((gateway) => gateway.name === name);
  if (found === undefined) throw new Error("there is no gateway");
  return found;
}

/** A name that starts with `prefix`, for a function whose owner is on the bench's own node, where its load and its peers are. */
export function nameOwnedNearby(all: readonly Gateway[], prefix: string): string {
  if (all.every((gateway) => gateway.node !== NODE)) return `${prefix}-0`;
  for (let i = 0; ; i++) if (ownerOf(all, `${prefix}-${i}`).node === NODE) return `${prefix}-${i}`;
}

/** Handlers that do nothing, by runtime. */
const NODE_HANDLER = { file: "index.mjs", handler: "index.handler", source: new URL("../handlers/node/index.mjs", import.meta.url) };
const HANDLERS: Partial<Record<Runtime, { file: string; handler: string; source: URL }>> = {
  "nodejs22.x": NODE_HANDLER,
  "nodejs24.x": NODE_HANDLER,
  "python3.11": { file: "index.py", handler: "index.handler", source: new URL("../handlers/python/index.py", import.meta.url) },
};

/** Function objects of the bench's account with a handler that does nothing; each has a package of the same content. */
export async function idleFunctions(runtime: Runtime, names: readonly string[], spec: object = {}): Promise<object[]> {
  const { handler, zip } = await idlePackage(runtime);
  const code = { zip: Buffer.from(zip).toString("base64") };
  return names.map((name) => inNamespace(lambdaFunction(name, runtime, handler, code, { memorySize: 1769, timeout: 30, ...spec })));
}

async function idlePackage(runtime: Runtime): Promise<{ handler: string; zip: Uint8Array }> {
  if (runtime === "java17") {
    const folder = fileURLToPath(new URL("../handlers/java", import.meta.url));
    return { handler: "bench.Idle::handle", zip: await javaPackage(folder) };
  }
  const found = HANDLERS[runtime];
  if (found === undefined) throw new Error(`the bench has no handler for ${runtime}`);
  return { handler: found.handler, zip: zipOf({ [found.file]: await readFile(found.source) }) };
}

const inNamespace = (object: object): object => ({ ...object, metadata: { ...metadataOf(object), namespace: NAMESPACE } });

const metadataOf = (object: object): object => ("metadata" in object && typeof object.metadata === "object" && object.metadata) || {};

/** Of objects that are applied or deleted at once. */
const BATCH = 100;

/** Makes functions and waits until they are ready. */
export async function makeFunctions(functions: readonly object[]): Promise<void> {
  for (let from = 0; from < functions.length; from += BATCH) await apply(...functions.slice(from, from + BATCH));
  await kubectl("wait", "--for=condition=Ready", "--timeout=600s", "-n", NAMESPACE, "functions", "--all");
}

/** No pool has environments for it, where its gateway would take one for every caller that waits. */
export const WITHOUT_POOL = { ephemeralStorage: { size: 1024 } };

/** Milliseconds for which an event keeps its environment, so that none can take the place of two. */
const BUSY_MS = 500;
/** After so many events a gateway has forgotten that one of them was long, and makes no environment for callers who wait. */
const SHORT_EVENTS = 50;

/** Has a function so many environments, all of them free, and a gateway that knows its events to be short. */
export async function startEnvironments({ load }: Site, target: Target, count: number): Promise<void> {
  const busy = { ...target, body: JSON.stringify({ pauseMs: BUSY_MS }) };
  answered(await load.run({ do: "burst", target: busy, requests: count }), `${count} first events`);
  const short = await load.run({ do: "closed", target, clients: 1, milliseconds: 60_000, requests: SHORT_EVENTS });
  answered(short, "short events after them");
}

/** Deletes all functions of the bench's account, with their environments. */
export const removeFunctions = (): Promise<string> => kubectl("delete", "functions", "--all", "-n", NAMESPACE, "--timeout=600s");
