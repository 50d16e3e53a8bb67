import type { Alias, Function as LambdaFunction, Version } from "../../api/types.generated.ts";
import { functionNameOf } from "../../domain/effective.ts";
import { shareByWeight } from "../../domain/versions.ts";
import { KubeError, objectKey, type ReconcileResult, Resources } from "../../kube/index.ts";
import { Annotation, FieldManager } from "../../resources/labels.ts";
import { accountChanges } from "../accounts/changes.ts";
import { accountOf, isTerminating, type NamespaceObject } from "../accounts/decide.ts";
import { oldest } from "../age.ts";
import { type CacheIndex, functionKey } from "../cache-index.ts";
import { type Cache, type Controller, type ControllerContext, observedQueue } from "../context.ts";
import { findAccountObstacle } from "../functions/decide.ts";
import { LastWrites } from "../last-writes.ts";
import type { PodObject } from "../pods/decide.ts";
import { writeStatus } from "../status.ts";
import { Claims } from "./claims.ts";
import { type Failure, failureOf, type Progress, provisionedStatus, retryIn } from "./decide.ts";
import { type Declaration, declarations, isConcerned } from "./declarations.ts";
import { grant } from "./grants.ts";
import { type ProvisionedPod, planPods, STARTING_AT_ONCE, type Target } from "./plan.ts";
import { ProvisionedPods, type ProvisionedPodsDeps } from "./pods.ts";

/** How soon a refused declaration is looked at again, milliseconds: other functions may have given something back. */
const REFUSED_MS = 30_000;

/** A failure that did not come again for so long concerns a version that nobody starts any more, milliseconds. */
const FORGOTTEN_MS = 3_600_000;

export interface ProvisionedControllerDeps extends ControllerContext, Pick<ProvisionedPodsDeps, "images" | "environment"> {
  versions: Cache<Version>;
  versionsByFunction: CacheIndex<Version>;
  aliases: Cache<Alias>;
  aliasesByFunction: CacheIndex<Alias>;
  functions: Cache<LambdaFunction>;
  functionsByName: CacheIndex<LambdaFunction>;
  namespaces: Cache<NamespaceObject>;
  /** Environment pods of all namespaces. */
  pods: Cache<PodObject>;
  /** Those of provisioned concurrency, by UID of their Function. */
  provisionedPods: CacheIndex<PodObject>;
  accountConcurrency: number;
  workers: number;
}

/** Makes the controller of provisioned concurrency: of all that a function's versions and aliases declare, function by function. */
export function provisionedController(deps: ProvisionedControllerDeps): Controller {
  const { versions, versionsByFunction, aliases, aliasesByFunction, functions, functionsByName, namespaces, pods, client, clock } = deps;
  const made = new ProvisionedPods(deps);
  const claims = new Claims(deps.accountConcurrency);
  /** What was granted last, by UID of the version or alias. */
  const granted = new Map<string, number>();
  /** Starts that failed, by UID of the function, qualifier and what was started. */
  const failures = new Map<string, Failure>();
  const counted = new Set<string>();
  const writes = { version: new LastWrites<Version>(), alias: new LastWrites<Alias>() };
  const subscriptions: (() => void)[] = [];
  const queue = observedQueue(deps, { name: "provisioned", workers: deps.workers, reconcile });

  async function reconcile(key: string): Promise<ReconcileResult | undefined> {
    const fn = functionOf(key);
    const { namespace = "" } = fn?.metadata ?? {};
    const account = namespaces.get(undefined, namespace);
    if (fn === undefined || isTerminating(account)) return undefined;
    if (!accountOf(account).enabled) {
      const refusal = findAccountObstacle(accountOf(account), namespace)?.message ?? "";
      for (const declaration of declarations(versionsOf(key), aliasesOf(key), granted))
        await report(declaration, { requested: declaration.requested, initialized: 0, refusal });
      return undefined;
    }
    const present = made.of(fn, deps.provisionedPods.of(fn.metadata.uid ?? ""));
    const declared = declarations(versionsOf(key), aliasesOf(key), granted);
    const grants = decideCounts(key, fn, declared);
    let again: number | undefined;
    const soon = (ms: number) => {
      again = Math.min(again ?? ms, ms);
    };
    for (const { demand: declaration, count, refusal } of grants) {
      const own = present.filter(({ qualifier }) => qualifier === declaration.qualifier);
      const progress = await provide(key, fn, declaration, count, own, soon);
      if (refusal !== undefined) soon(REFUSED_MS);
      await report(declaration, { ...progress, ...(refusal === undefined ? {} : { refusal }) });
    }
    const qualifiers = new Set(declared.map(({ qualifier }) => qualifier));
    for (const pod of present) if (!qualifiers.has(pod.qualifier) && pod.state !== "ended") await made.remove(fn.metadata.namespace, pod);
    const declaring = new Set(declared.map(({ object }) => object.metadata.uid));
    for (const object of [...versionsOf(key), ...aliasesOf(key)])
      if (!declaring.has(object.metadata.uid) && object.status?.provisionedConcurrency !== undefined) await write(object, {});
    return again === undefined ? undefined : { requeueAfterMs: again };
  }

  /** How many pods each declaration gets. */
  function decideCounts(key: string, fn: LambdaFunction, declared: readonly Declaration[]) {
    const { reservedConcurrentExecutions: reserved } = fn.spec;
    const grants = grant(declared, {
      // A reservation that the account cannot keep limits its function and sets nothing aside for it.
      ...(claims.isReserved(key) ? {} : { account: { limit: deps.accountConcurrency, others: claims.others(key) } }),
      ...(reserved === undefined ? {} : { reserved }),
    });
    for (const { demand, count } of grants) {
      const { uid = "" } = demand.object.metadata;
      if (count > 0) granted.set(uid, count);
      else granted.delete(uid);
    }
    claims.provision(key, { provisioned: grants.reduce((sum, { count }) => sum + count, 0), created: createdOf(fn) });
    return grants;
  }

  /** Takes the next step towards so many pods. */
  async function provide(
    key: string,
    fn: LambdaFunction,
    declaration: Declaration,
    count: number,
    own: readonly ProvisionedPod[],
    soon: (ms: number) => void,
  ): Promise<Progress> {
    const { qualifier, requested, target } = declaration;
    if (target === undefined) {
      for (const pod of own) if (pod.state !== "ended") await made.remove(fn.metadata.namespace, pod);
      return { requested, initialized: 0, waiting: "It waits until the version can be invoked." };
    }
    const byNumber = new Map(versionsOf(key).map((version) => [String(version.spec.version), version]));
    const sources = shareByWeight(target, count).flatMap((share) => {
      const version = byNumber.get(share.version);
      return version?.status?.effective === undefined ? [] : [{ ...share, version }];
    });
    const targets: Target[] = sources.map(({ version, count: of }) => ({
      version: String(version.spec.version),
      template: made.template({ fn, version, qualifier }),
      count: of,
    }));
    const failureKey = (template: string) => `${fn.metadata.uid}/${qualifier}/${template}`;
    const failure = targets.map(({ template }) => failures.get(failureKey(template))).find((found) => found !== undefined);
    const wait = retryIn(failure, clock.now());
    if (wait > 0) soon(wait);
    // After a failure one pod at a time is tried.
    const startingAtOnce = failure === undefined ? STARTING_AT_ONCE : wait > 0 ? 0 : 1;
    const plan = planPods({ targets, pods: own, startingAtOnce });
    for (const pod of plan.remove) await made.remove(fn.metadata.namespace, pod);
    if (plan.initialized >= count) for (const { template } of targets) failures.delete(failureKey(template));
    for (const { version, template } of plan.create) {
      const object = byNumber.get(version);
      if (object === undefined) continue;
      try {
        await made.create({ fn, version: object, qualifier }, template);
      } catch (error) {
        // A quota or a policy of the cluster: nothing that the next second changes.
        if (!(error instanceof KubeError) || (error.status !== 403 && error.status !== 422)) throw error;
        noteFailure(failureKey(template), error.message);
        soon(retryIn(failures.get(failureKey(template)), clock.now()));
        break;
      }
    }
    const latest = targets.map(({ template }) => failures.get(failureKey(template))).find((found) => found !== undefined);
    const waiting = plan.unschedulable > 0 ? `No node has room for ${plan.unschedulable} of its environments.` : undefined;
    return { requested, initialized: plan.initialized, failure: latest, ...(waiting === undefined ? {} : { waiting }) };
  }

  async function report({ object }: Declaration, progress: Progress): Promise<void> {
    const status = provisionedStatus(progress, object.status?.provisionedConcurrency, clock);
    if (status !== undefined) await write(object, { provisionedConcurrency: status });
  }

  async function write(object: Version | Alias, status: Pick<NonNullable<Version["status"]>, "provisionedConcurrency">): Promise<void> {
    if (object.kind === "Version") {
      const written = await writeStatus(client, Resources.version, object, status, FieldManager.provisioned);
      if (written) writes.version.note(object, written);
    } else {
      const written = await writeStatus(client, Resources.alias, object, status, FieldManager.provisioned);
      if (written) writes.alias.note(object, written);
    }
  }

  function noteFailure(key: string, reason: string): void {
    for (const [other, { at }] of failures) if (clock.now() - at > FORGOTTEN_MS) failures.delete(other);
    failures.set(key, { times: (failures.get(key)?.times ?? 0) + 1, reason, at: clock.now() });
  }

  const functionOf = (key: string): LambdaFunction | undefined =>
    oldest(functionsByName.of(key).filter(({ metadata }) => metadata.deletionTimestamp === undefined));
  const versionsOf = (key: string): Version[] => versionsByFunction.of(key).map((version) => writes.version.latest(version));
  const aliasesOf = (key: string): Alias[] => aliasesByFunction.of(key).map((alias) => writes.alias.latest(alias));
  const concerns = (key: string): boolean => [...versionsByFunction.of(key), ...aliasesByFunction.of(key)].some(isConcerned);
  const keyOf = ({ metadata, spec }: Version | Alias): string => functionKey(metadata.namespace, spec.functionName);
  const keyOfFunction = (fn: LambdaFunction): string => functionKey(fn.metadata.namespace, functionNameOf(fn));
  const createdOf = ({ metadata }: LambdaFunction): string => metadata.creationTimestamp ?? "";

  function onObject({ type, object, old }: { type: "upsert" | "delete"; object: Version | Alias; old?: Version | Alias }): void {
    if (type === "delete") writes[object.kind === "Version" ? "version" : "alias"].forget(objectKey(object.metadata));
    if (type === "delete" || object.spec.provisionedConcurrentExecutions === undefined) granted.delete(object.metadata.uid ?? "");
    if (isConcerned(object) || (old && isConcerned(old)) || concerns(keyOf(object))) queue.add(keyOf(object));
  }

  function onFunction({ object }: { object: LambdaFunction }): void {
    const key = keyOfFunction(object);
    if (functionOf(key) === undefined) claims.provision(key, undefined);
    if (noteReservation(key)) {
      const { namespace = "" } = object.metadata;
      withdraw(namespace);
      addAll(namespace);
    }
    if (concerns(key)) queue.add(key);
  }

  /** @returns whether the account has something else set aside now */
  function noteReservation(key: string): boolean {
    // Of two with one name only the one that counts sets something aside.
    const fn = functionOf(key);
    const reserved = fn?.spec.reservedConcurrentExecutions;
    return claims.reserve(key, fn === undefined || reserved === undefined ? undefined : { reserved, created: createdOf(fn) });
  }

  /** Whoever loses what it had asks for it like everybody else, when its turn comes. */
  function withdraw(namespace: string): void {
    for (const key of claims.withdraw(namespace))
      for (const { metadata } of [...versionsByFunction.of(key), ...aliasesByFunction.of(key)]) granted.delete(metadata.uid ?? "");
  }

  /** All functions of an account that have to do with provisioned concurrency. */
  function addAll(namespace: string): void {
    for (const fn of functions.list()) if (fn.metadata.namespace === namespace && concerns(keyOfFunction(fn))) queue.add(keyOfFunction(fn));
  }

  function onPod({ type, object }: { type: "upsert" | "delete"; object: PodObject }): void {
    const { annotations = {}, namespace, uid = "", ownerReferences = [] } = object.metadata;
    const qualifier = annotations[Annotation.provisioned];
    if (qualifier === undefined) return;
    const failure = failureOf(object);
    // Told here and not when the function's turn comes: the pod may be gone by then.
    if (failure !== undefined && type === "upsert" && !counted.has(uid)) {
      counted.add(uid);
      noteFailure(`${ownerReferences[0]?.uid}/${qualifier}/${annotations[Annotation.template]}`, failure);
    }
    if (type === "delete") {
      counted.delete(uid);
      made.forget(object);
    }
    const fn = functions.get(namespace, annotations[Annotation.function] ?? "");
    if (fn) queue.add(keyOfFunction(fn));
  }

  /** Whoever led before granted what is not refused. */
  function takeOver(): void {
    for (const object of [...versions.list(), ...aliases.list()]) {
      const { provisionedConcurrency: former } = object.status ?? {};
      const requested = former?.requestedProvisionedConcurrentExecutions ?? 0;
      // What was refused more than it had keeps what it had: its pods serve.
      const had = former?.status === "FAILED" ? Math.min(requested, former.allocatedProvisionedConcurrentExecutions ?? 0) : requested;
      if (had > 0) granted.set(object.metadata.uid ?? "", had);
    }
    for (const fn of functions.list()) {
      const key = keyOfFunction(fn);
      const objects = [...versionsByFunction.of(key), ...aliasesByFunction.of(key)];
      const provisioned = objects.reduce((sum, { metadata }) => sum + (granted.get(metadata.uid ?? "") ?? 0), 0);
      claims.provision(key, { provisioned, created: createdOf(fn) });
      noteReservation(key);
    }
    // Not before all reservations are known: which of them are kept decides who keeps what it was granted.
    for (const namespace of new Set(functions.list().map(({ metadata }) => metadata.namespace ?? ""))) withdraw(namespace);
  }

  return {
    start() {
      takeOver();
      subscriptions.push(
        functions.subscribe(onFunction),
        versions.subscribe(onObject),
        aliases.subscribe(onObject),
        pods.subscribe(onPod),
        accountChanges(namespaces, addAll),
      );
      queue.start();
    },
    async stop() {
      for (const end of subscriptions.splice(0)) end();
      await queue.stop();
    },
  };
}
