import type { Function as LambdaFunction, Version } from "../../api/types.generated.ts";
import type { PackageStore } from "../../bus/index.ts";
import { KappaError } from "../../domain/errors.ts";
import { type KubeObject, objectKey, parseKey, type ReconcileResult, Resources } from "../../kube/index.ts";
import { FieldManager } from "../../resources/labels.ts";
import { accountChanges } from "../accounts/changes.ts";
import { accountOf, isTerminating, type NamespaceObject } from "../accounts/decide.ts";
import { isOlder, oldest } from "../age.ts";
import { type CacheIndex, functionKey } from "../cache-index.ts";
import { type Cache, type Controller, type ControllerContext, observedQueue } from "../context.ts";
import { LastWrites } from "../last-writes.ts";
import { belongsToAnother, isUnowned, ownedBy } from "../owner.ts";
import { explain, identityOf, writeStatus } from "../status.ts";
import {
  decideObstructedVersion,
  decidePublication,
  decidePublished,
  decideUnpublished,
  decideWithoutNumber,
  findVersionObstacle,
  type Publication,
  type VersionDecision,
  type VersionView,
} from "./decide.ts";
import { VersionNumbers } from "./numbers.ts";
import { type Frozen, frozenOf, isPublished } from "./published.ts";

/** A function's versions go with it, removed by Kubernetes: only those that are left after this are told that it is gone. */
const GARBAGE_COLLECTION_MS = 15_000;

/** How soon a package that is missing is looked for again, milliseconds: a store may be being restored. */
const MISSING_PACKAGE_MS = 60_000;

/** How soon a version looks again that found its function changed behind the cache's back. The cache's own event comes sooner. */
const STALE_MS = 1_000;

export interface VersionControllerDeps extends ControllerContext {
  versions: Cache<Version>;
  versionsByFunction: CacheIndex<Version>;
  functions: Cache<LambdaFunction>;
  functionsByName: CacheIndex<LambdaFunction>;
  namespaces: Cache<NamespaceObject>;
  packages: Pick<PackageStore, "has">;
  region: string;
  runtimes: readonly string[];
  workers: number;
}

/** Makes the controller of Versions. Its field manager owns what it froze, the reference to the function, and the status. */
export function versionController(deps: VersionControllerDeps): Controller {
  const { versions, versionsByFunction, functions, functionsByName, namespaces, client, clock } = deps;
  const writes = new LastWrites<Version>();
  const numbers = new VersionNumbers(client);
  /** Numbers that were reserved for a version and are not in its spec yet: a write that failed does not cost another one. */
  const reserved = new Map<string, number>();
  const subscriptions: (() => void)[] = [];
  const queue = observedQueue(deps, {
    name: "versions",
    workers: deps.workers,
    reconcile,
    // One after the other for each function: of two that are published at once the second sees the first.
    groupOf: (key) => key.slice(0, key.lastIndexOf("/")),
  });

  /** `namespace/functionName/name`: the function is part of the key, so that a version's group is known when it is gone. */
  const queueKey = ({ metadata, spec }: Version): string => `${functionKey(metadata.namespace, spec.functionName)}/${metadata.name}`;

  function current(key: string): Version | undefined {
    const { namespace, name: rest } = parseKey(key);
    const cached = versions.get(namespace, rest.slice(rest.indexOf("/") + 1));
    return cached && cached.metadata.deletionTimestamp === undefined ? writes.latest(cached) : undefined;
  }

  async function reconcile(key: string): Promise<ReconcileResult | undefined> {
    let version = current(key);
    if (version === undefined || isTerminating(namespaces.get(undefined, version.metadata.namespace ?? ""))) return undefined;
    let view = viewOf(version);
    if (!isPublished(version)) {
      const publication = decidePublication(view);
      if (publication.kind !== "publish") {
        if (publication.kind !== "existed") await apply(version, decideUnpublished(view, publication, clock));
        return undefined;
      }
      if (!(await isCurrent(publication.fn))) return { requeueAfterMs: STALE_MS };
      version = await publish(view, publication);
      view = viewOf(version);
    }
    return settle(view);
  }

  /** Writes the status of a version that has its number. */
  async function settle(view: VersionView): Promise<ReconcileResult | undefined> {
    const obstacle = findVersionObstacle(view);
    if (obstacle) {
      await apply(view.version, decideObstructedVersion(view, obstacle, clock));
      return undefined;
    }
    const { version, fn } = view;
    const { spec, status, metadata } = version;
    const digest = spec.code?.package?.sha256 ?? "";
    // Looked for once: what is in use is not swept from the store.
    const isKnown = status?.effective?.packageSha256 === digest;
    if (!isKnown) await numbers.record(metadata.namespace ?? "", spec.functionName, spec.version ?? 0);
    const hasPackage = isKnown || (await deps.packages.has(digest));
    const adopted = fn && isUnowned(version) ? await freeze(version, fn, frozenOf(spec)) : version;
    await apply(adopted, decidePublished({ ...view, version: adopted }, hasPackage, clock));
    return hasPackage ? undefined : { requeueAfterMs: MISSING_PACKAGE_MS };
  }

  /**
   * Whether the function is what the cache says. A Function and its Version that are applied together come by two watches: the version
   * must not publish what was in force before.
   */
  async function isCurrent(fn: LambdaFunction): Promise<boolean> {
    const { namespace, name, uid, generation } = fn.metadata;
    const now = await client.get<KubeObject>(Resources.function, { namespace, name });
    return now?.metadata.uid === uid && now?.metadata.generation === generation;
  }

  async function publish(view: VersionView, { fn, frozen }: Extract<Publication, { kind: "publish" }>): Promise<Version> {
    const { version } = view;
    const { namespace = "", uid = "" } = version.metadata;
    const { functionName, description } = version.spec;
    let number = reserved.get(uid);
    if (number === undefined) {
      const highest = Math.max(0, ...siblings(version).map(({ spec }) => spec.version ?? 0));
      number = await numbers.reserve(namespace, functionName, highest).catch(async (error: unknown) => {
        const why = error instanceof KappaError ? explain(error) : `The number cannot be written down: ${String(error)}.`;
        await apply(version, decideWithoutNumber(view, why, clock));
        throw error;
      });
      reserved.set(uid, number);
    }
    // What the user wrote stays his.
    const { description: copied, ...rest } = frozen;
    const own = description !== undefined || copied === undefined ? rest : { ...rest, description: copied };
    const published = await freeze(version, fn, { ...own, version: number });
    reserved.delete(uid);
    return published;
  }

  /** Writes the number, the code and the configuration, and whose version it is. */
  async function freeze(version: Version, fn: LambdaFunction, frozen: Frozen): Promise<Version> {
    const identity = identityOf(version);
    const { resourceVersion } = version.metadata;
    const intent: KubeObject & { spec: Frozen } = {
      ...identity,
      // Only of what was looked at: one that was deleted meanwhile must not come back, nor be published twice.
      metadata: { ...identity.metadata, ownerReferences: [ownedBy(fn)], ...(resourceVersion === undefined ? {} : { resourceVersion }) },
      spec: frozen,
    };
    const written: KubeObject = await client.apply(Resources.version, intent, { fieldManager: FieldManager.versions });
    const whole = written as Version;
    writes.note(version, whole);
    return whole;
  }

  async function apply(version: Version, { status, notice }: VersionDecision): Promise<void> {
    if (status === undefined) return;
    const written = await writeStatus(client, Resources.version, version, status, FieldManager.versions);
    if (written === undefined) return;
    writes.note(version, written);
    if (notice)
      deps.events.record({ regarding: version, type: notice.type, reason: notice.reason, action: "Reconcile", note: notice.note });
  }

  function viewOf(version: Version): VersionView {
    const { namespace = "", uid } = version.metadata;
    const fn = functionOf(namespace, version.spec.functionName);
    const published = siblings(version).filter((other) => other.metadata.uid !== uid && isPublished(other) && !belongsToAnother(other, fn));
    const latest = published.reduce<Version | undefined>(
      (highest, other) => ((other.spec.version ?? 0) > (highest?.spec.version ?? 0) ? other : highest),
      undefined,
    );
    const held = oldest(published.filter(({ spec }) => spec.version === version.spec.version));
    return {
      version,
      account: accountOf(namespaces.get(undefined, namespace)),
      region: deps.region,
      runtimes: deps.runtimes,
      ...(fn === undefined ? {} : { fn }),
      ...(latest === undefined ? {} : { latest }),
      ...(held === undefined || !isOlder(held, version) ? {} : { numberHeldBy: held.metadata.name }),
    };
  }

  const functionOf = (namespace: string, functionName: string): LambdaFunction | undefined =>
    oldest(functionsByName.of(functionKey(namespace, functionName)).filter(({ metadata }) => metadata.deletionTimestamp === undefined));

  /** All versions of the same function, this one included. */
  function siblings(version: Version): Version[] {
    const all = versionsByFunction.of(functionKey(version.metadata.namespace, version.spec.functionName));
    return all.filter(({ metadata }) => metadata.deletionTimestamp === undefined).map((cached) => writes.latest(cached));
  }

  function onVersion({ type, object }: { type: "upsert" | "delete"; object: Version }): void {
    if (type === "upsert") {
      queue.add(queueKey(object));
      return;
    }
    writes.forget(objectKey(object.metadata));
    reserved.delete(object.metadata.uid ?? "");
    // Its number may have been another one's as well.
    for (const other of siblings(object)) if (other.spec.version === object.spec.version) queue.add(queueKey(other));
  }

  function onFunction({ type, object }: { type: "upsert" | "delete"; object: LambdaFunction }): void {
    const name = object.spec.functionName ?? object.metadata.name;
    for (const version of versionsByFunction.of(functionKey(object.metadata.namespace, name))) {
      if (type === "delete") queue.addAfter(queueKey(version), GARBAGE_COLLECTION_MS);
      else if (!isPublished(version) || version.status?.state !== "Active" || isUnowned(version) || belongsToAnother(version, object))
        queue.add(queueKey(version));
    }
  }

  return {
    start() {
      subscriptions.push(
        versions.subscribe(onVersion),
        functions.subscribe(onFunction),
        namespaces.subscribe(({ type, object }) => type === "delete" && numbers.forget(object.metadata.name)),
        accountChanges(namespaces, (namespace) => {
          for (const version of versions.list()) if (version.metadata.namespace === namespace) queue.add(queueKey(version));
        }),
      );
      queue.start();
    },
    async stop() {
      for (const end of subscriptions.splice(0)) end();
      await queue.stop();
    },
  };
}
