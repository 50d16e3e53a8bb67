import type { Alias, Function as LambdaFunction, Version } from "../../api/types.generated.ts";
import { type KubeObject, objectKey, parseKey, Resources } from "../../kube/index.ts";
import { FieldManager } from "../../resources/labels.ts";
import { accountChanges } from "../accounts/changes.ts";
import { accountOf, isTerminating, type NamespaceObject } from "../accounts/decide.ts";
import { isOlder, oldest } from "../age.ts";
import { type CacheIndex, functionKey } from "../cache-index.ts";
import { type Cache, type Controller, type ControllerContext, observedQueue } from "../context.ts";
import { LastWrites } from "../last-writes.ts";
import { belongsToAnother, isUnowned, ownedBy } from "../owner.ts";
import { identityOf, writeStatus } from "../status.ts";
import { type AliasDecision, type AliasView, decideAlias } from "./decide.ts";

/** A function's aliases go with it, removed by Kubernetes: only those that are left after this are told that it is gone. */
const GARBAGE_COLLECTION_MS = 15_000;

export interface AliasControllerDeps extends ControllerContext {
  aliases: Cache<Alias>;
  aliasesByFunction: CacheIndex<Alias>;
  versions: Cache<Version>;
  versionsByFunction: CacheIndex<Version>;
  functions: Cache<LambdaFunction>;
  functionsByName: CacheIndex<LambdaFunction>;
  namespaces: Cache<NamespaceObject>;
  region: string;
  workers: number;
}

/** Makes the controller of Aliases. Its field manager owns their status and the reference to the function. */
export function aliasController(deps: AliasControllerDeps): Controller {
  const { aliases, aliasesByFunction, versions, versionsByFunction, functions, functionsByName, namespaces, client, clock } = deps;
  const writes = new LastWrites<Alias>();
  const subscriptions: (() => void)[] = [];
  const queue = observedQueue(deps, { name: "aliases", workers: deps.workers, reconcile });

  async function reconcile(key: string): Promise<undefined> {
    const ref = parseKey(key);
    const cached = aliases.get(ref.namespace, ref.name);
    if (cached === undefined || cached.metadata.deletionTimestamp !== undefined) return;
    if (isTerminating(namespaces.get(undefined, ref.namespace ?? ""))) return;
    const view = viewOf(writes.latest(cached));
    const { alias, fn } = view;
    const adopted = fn && view.account.enabled && isUnowned(alias) ? await adopt(alias, fn) : alias;
    await apply(adopted, decideAlias({ ...view, alias: adopted }, clock));
  }

  async function adopt(alias: Alias, fn: LambdaFunction): Promise<Alias> {
    const identity = identityOf(alias);
    const intent: KubeObject = { ...identity, metadata: { ...identity.metadata, ownerReferences: [ownedBy(fn)] } };
    const written: KubeObject = await client.apply(Resources.alias, intent, { fieldManager: FieldManager.aliases });
    const whole = written as Alias;
    writes.note(alias, whole);
    return whole;
  }

  async function apply(alias: Alias, { status, notice }: AliasDecision): Promise<void> {
    if (status === undefined) return;
    const written = await writeStatus(client, Resources.alias, alias, status, FieldManager.aliases);
    if (written === undefined) return;
    writes.note(alias, written);
    if (notice) deps.events.record({ regarding: alias, type: notice.type, reason: notice.reason, action: "Reconcile", note: notice.note });
  }

  function viewOf(alias: Alias): AliasView {
    const { namespace = "" } = alias.metadata;
    const key = functionKey(namespace, alias.spec.functionName);
    const fn = oldest(functionsByName.of(key).filter(isThere));
    const held = oldest(namesakes(alias).filter((other) => isOlder(other, alias) && !belongsToAnother(other, fn)));
    return {
      alias,
      account: accountOf(namespaces.get(undefined, namespace)),
      region: deps.region,
      versions: numbered(versionsByFunction.of(key).filter((version) => isThere(version) && !belongsToAnother(version, fn))),
      ...(fn === undefined ? {} : { fn }),
      ...(held === undefined ? {} : { nameHeldBy: held.metadata.name }),
    };
  }

  /** Other aliases of the same function with the same name. */
  function namesakes({ metadata, spec }: Alias): Alias[] {
    return aliasesByFunction
      .of(functionKey(metadata.namespace, spec.functionName))
      .filter((other) => other.spec.name === spec.name && other.metadata.uid !== metadata.uid && isThere(other));
  }

  function onAlias({ type, object }: { type: "upsert" | "delete"; object: Alias }): void {
    if (type === "upsert") {
      queue.add(objectKey(object.metadata));
      return;
    }
    writes.forget(objectKey(object.metadata));
    // The name is free again.
    for (const other of namesakes(object)) queue.add(objectKey(other.metadata));
  }

  function onFunction({ type, object }: { type: "upsert" | "delete"; object: LambdaFunction }): void {
    const name = object.spec.functionName ?? object.metadata.name;
    for (const alias of aliasesByFunction.of(functionKey(object.metadata.namespace, name)))
      queue.addAfter(objectKey(alias.metadata), type === "delete" ? GARBAGE_COLLECTION_MS : 0);
  }

  function onVersion({ object }: { object: Version }): void {
    for (const alias of aliasesByFunction.of(functionKey(object.metadata.namespace, object.spec.functionName)))
      queue.add(objectKey(alias.metadata));
  }

  return {
    start() {
      subscriptions.push(
        aliases.subscribe(onAlias),
        functions.subscribe(onFunction),
        versions.subscribe(onVersion),
        accountChanges(namespaces, (namespace) => {
          for (const alias of aliases.list()) if (alias.metadata.namespace === namespace) queue.add(objectKey(alias.metadata));
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

const isThere = ({ metadata }: KubeObject): boolean => metadata.deletionTimestamp === undefined;

/** Versions by number; of two with one number the one that can be invoked, which is the older one. */
function numbered(versions: readonly Version[]): Map<string, Version> {
  const byNumber = new Map<string, Version>();
  for (const version of versions) {
    const number = version.spec.version === undefined ? undefined : String(version.spec.version);
    if (number !== undefined && byNumber.get(number)?.status?.effective === undefined) byNumber.set(number, version);
  }
  return byNumber;
}
