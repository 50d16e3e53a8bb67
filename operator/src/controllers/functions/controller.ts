import type { Function as LambdaFunction } from "../../api/types.generated.ts";
import { functionNameOf } from "../../domain/effective.ts";
import { KappaError } from "../../domain/errors.ts";
import { objectKey, parseKey, type ReconcileResult, Resources } from "../../kube/index.ts";
import { FieldManager } from "../../resources/labels.ts";
import { accountChanges } from "../accounts/changes.ts";
import { accountOf, isTerminating, type NamespaceObject } from "../accounts/decide.ts";
import { isOlder, oldest } from "../age.ts";
import { type Cache, type Controller, type ControllerContext, observedQueue } from "../context.ts";
import { LastWrites } from "../last-writes.ts";
import { writeStatus } from "../status.ts";
import { type CodeSource, codeSource } from "./code.ts";
import type { CodeIntake } from "./code-intake.ts";
import type { ConfigMaps } from "./config-maps.ts";
import { type CodeOutcome, type Decision, decideFromCode, decideObstructed, type FunctionView, findObstacle } from "./decide.ts";
import { withoutCode } from "./held-code.ts";
import { Reservations } from "./reservations.ts";

/** Packages fetched at the same time. Each may take 250 MB of the scratch folder, which the chart gives 1 GiB. */
const FETCH_WORKERS = 3;

/** Pauses between tries of a source that cannot be read. */
const FETCH_BACKOFF = { baseMs: 1_000, maxMs: 120_000 };

export interface FunctionControllerDeps extends ControllerContext {
  functions: Cache<LambdaFunction>;
  namespaces: Cache<NamespaceObject>;
  configMaps: ConfigMaps;
  intake: CodeIntake;
  region: string;
  runtimes: readonly string[];
  /** Concurrent executions of an account. */
  accountConcurrency: number;
  workers: number;
}

/** Makes the controller of Functions. Its field manager owns the status of Functions and nothing else. */
export function functionController(deps: FunctionControllerDeps): Controller & { requeue(fn: LambdaFunction): void } {
  const { functions, namespaces, configMaps, intake, clock } = deps;
  const writes = new LastWrites<LambdaFunction>();
  const reservations = new Reservations(deps.accountConcurrency);
  const subscriptions: (() => void)[] = [];
  const queue = observedQueue(deps, { name: "functions", workers: deps.workers, reconcile });
  const fetches = observedQueue(deps, {
    name: "packages",
    workers: FETCH_WORKERS,
    reconcile: fetch,
    backoff: FETCH_BACKOFF,
    // A worker that is busy cannot be had back, so no namespace gets a second one: its slow servers delay its own packages.
    groupOf: (key) => parseKey(key).namespace ?? "",
  });

  function current(key: string): LambdaFunction | undefined {
    const { namespace, name } = parseKey(key);
    const cached = functions.get(namespace, name);
    return cached && cached.metadata.deletionTimestamp === undefined ? writes.latest(cached) : undefined;
  }

  async function reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult | undefined> {
    const fn = current(key);
    if (fn === undefined || isTerminating(namespaces.get(undefined, fn.metadata.namespace ?? ""))) return undefined;
    const view = viewOf(fn);
    const obstacle = findObstacle(view);
    if (obstacle) {
      await apply(fn, decideObstructed(view, obstacle, clock));
      return undefined;
    }
    const outcome = await codeOf(key, fn, signal);
    await apply(fn, decideFromCode(view, outcome, clock));
    // Fetches repeat themselves and ConfigMaps are watched; a store that is away is tried again with this queue's back-off.
    if (outcome.kind === "unavailable" && !isFetched(fn) && outcome.error.code !== "K204") throw outcome.error;
    return undefined;
  }

  async function codeOf(key: string, fn: LambdaFunction, signal: AbortSignal): Promise<CodeOutcome> {
    let source: CodeSource | undefined;
    try {
      source = codeSource(fn, await configMaps.find(fn), () => read(fn));
    } catch (error) {
      if (error instanceof KappaError && error.code === "K204") return { kind: "unavailable", error };
      throw error;
    }
    if (source === undefined) throw new KappaError("K103", `Function ${key} has no code`);
    const known = intake.known(fn, source);
    if (known) return known;
    if (source.bytes) return intake.take(fn, source, signal);
    fetches.add(key);
    return { kind: "reading" };
  }

  const read = ({ metadata: { namespace, name } }: LambdaFunction): Promise<LambdaFunction | undefined> =>
    deps.client.get<LambdaFunction>(Resources.function, { namespace, name });

  /** Fetches a package outside of the functions' own workers, so that a slow server delays no other function. */
  async function fetch(key: string, signal: AbortSignal): Promise<undefined> {
    const fn = current(key);
    const source = fn && isFetched(fn) && !findObstacle(viewOf(fn)) ? codeSource(fn, undefined, () => read(fn)) : undefined;
    if (fn === undefined || source === undefined) return;
    const known = intake.known(fn, source);
    const outcome = known === undefined || known.kind === "unavailable" ? await intake.take(fn, source, signal) : known;
    queue.add(key);
    if (outcome.kind === "unavailable") throw outcome.error;
  }

  function viewOf(fn: LambdaFunction): FunctionView {
    const { namespace = "" } = fn.metadata;
    const nameHeldBy = olderOfSameName(fn)?.metadata.name;
    return {
      fn,
      account: accountOf(namespaces.get(undefined, namespace)),
      region: deps.region,
      runtimes: deps.runtimes,
      ...(nameHeldBy === undefined ? {} : { nameHeldBy }),
      reservationRefused: reservations.isRefused(namespace, nameKey(fn)),
    };
  }

  /** Functions by namespace and Lambda name: `metadata.name` is unique, `spec.functionName` need not be. */
  const byName = new Map<string, Set<string>>();
  const nameKey = (fn: LambdaFunction): string => `${fn.metadata.namespace ?? ""}/${functionNameOf(fn)}`;
  function olderOfSameName(fn: LambdaFunction): LambdaFunction | undefined {
    return oldest(namesakes(fn).filter((other) => other.metadata.uid !== fn.metadata.uid && isOlder(other, fn)));
  }
  function namesakes(fn: LambdaFunction): LambdaFunction[] {
    return named(nameKey(fn));
  }
  function named(name: string): LambdaFunction[] {
    return [...(byName.get(name) ?? [])].flatMap((key) => {
      const ref = parseKey(key);
      return functions.get(ref.namespace, ref.name) ?? [];
    });
  }

  /** What one function has reserved decides about others of its account. */
  function noteReservation(object: LambdaFunction): void {
    const name = nameKey(object);
    const holder = oldest(named(name).filter(({ metadata }) => metadata.deletionTimestamp === undefined));
    const reserved = holder?.spec.reservedConcurrentExecutions;
    const wants = reserved === undefined ? undefined : { reserved, created: holder?.metadata.creationTimestamp ?? "" };
    for (const changed of reservations.update(object.metadata.namespace ?? "", name, wants))
      for (const fn of named(changed)) queue.add(objectKey(fn.metadata));
  }

  async function apply(fn: LambdaFunction, { status, notice }: Decision): Promise<void> {
    if (status === undefined) return;
    const written = await writeStatus(deps.client, Resources.function, fn, status, FieldManager.functions);
    if (written === undefined) return;
    writes.note(fn, withoutCode(written));
    if (notice) deps.events.record({ regarding: fn, type: notice.type, reason: notice.reason, action: "Reconcile", note: notice.note });
  }

  function onFunction(event: { type: "upsert" | "delete"; object: LambdaFunction }): void {
    const { object } = event;
    const key = objectKey(object.metadata);
    const names = byName.get(nameKey(object)) ?? new Set<string>();
    if (event.type === "upsert") {
      byName.set(nameKey(object), names.add(key));
      noteReservation(object);
      queue.add(key);
      return;
    }
    names.delete(key);
    if (names.size === 0) byName.delete(nameKey(object));
    noteReservation(object);
    intake.forget(object.metadata.uid ?? "");
    writes.forget(key);
    configMaps.release(key);
    // The name is free again.
    for (const other of namesakes(object)) queue.add(objectKey(other.metadata));
  }

  function addAll(which: (fn: LambdaFunction) => boolean): void {
    for (const fn of functions.list()) if (which(fn)) queue.add(objectKey(fn.metadata));
  }

  return {
    requeue: (fn) => queue.add(objectKey(fn.metadata)),
    start() {
      subscriptions.push(
        functions.subscribe(onFunction),
        accountChanges(namespaces, (namespace) => addAll((fn) => fn.metadata.namespace === namespace)),
        configMaps.subscribe((namespace, name) =>
          addAll((fn) => fn.metadata.namespace === namespace && fn.spec.code.configMap?.name === name),
        ),
      );
      queue.start();
      fetches.start();
    },
    async stop() {
      for (const end of subscriptions.splice(0)) end();
      // Together: a worker may be waiting for a ConfigMap's cache.
      await Promise.all([queue.stop(), fetches.stop(), configMaps.close()]);
    },
  };
}

/** Whether the code has to be fetched from elsewhere. */
function isFetched(fn: LambdaFunction): boolean {
  return fn.spec.code.object !== undefined || fn.spec.code.url !== undefined;
}
