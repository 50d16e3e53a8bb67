/** Makes namespaces with the label `kappa.dev/enabled=true` accounts, and undoes it when the label goes. */
import { type KubeObject, type ReconcileResult, type ResourceRef, Resources } from "../../kube/index.ts";
import { environmentServiceAccount, gatewayRoleBinding } from "../../resources/account.ts";
import { Annotation, FieldManager } from "../../resources/labels.ts";
import { accountNetworkPolicies, type NetworkSettings } from "../../resources/network-policies.ts";
import { isOlder } from "../age.ts";
import { type Cache, type Controller, type ControllerContext, observedQueue } from "../context.ts";
import { type AccountObject, type AccountStep, accountOf, decideAccount, isTerminating, type NamespaceObject } from "./decide.ts";

export interface AccountControllerDeps extends ControllerContext {
  namespaces: Cache<NamespaceObject>;
  /** Objects that carry Kappa's managed-by label, of each kind that an account has. */
  owned: { serviceAccounts: Cache<KubeObject>; roleBindings: Cache<KubeObject>; networkPolicies: Cache<KubeObject> };
  /** Environment pods of all namespaces. */
  pods: Cache<KubeObject>;
  /** What "the internet" leaves out now; `subscribe` tells when it changes. */
  internetExceptions: { get(): readonly string[]; subscribe(changed: () => void): () => void };
  network: NetworkSettings;
  gateway: { serviceAccount: string; namespace: string };
  workers: number;
}

/** Makes the controller of accounts. */
export function accountController(deps: AccountControllerDeps): Controller {
  const { client, clock, namespaces, owned, pods } = deps;
  /** Ids that were given and may not have come back by the watch yet, by namespace UID. */
  const given = new Map<string, string>();
  /** When a pod was last seen to go, epoch milliseconds, by namespace. */
  const podGoneAt = new Map<string, number>();
  const subscriptions: (() => void)[] = [];
  const queue = observedQueue(deps, { name: "accounts", workers: deps.workers, reconcile });

  async function reconcile(name: string): Promise<ReconcileResult | undefined> {
    const cached = namespaces.get(undefined, name);
    if (cached === undefined) return undefined;
    const namespace = withGivenId(cached);
    const objects = isTerminating(namespace) ? [] : await gather(namespace);
    const { uid = "" } = namespace.metadata;
    const { steps, notOwned } = decideAccount({
      namespace,
      objects,
      pods: pods.list().filter((pod) => pod.metadata.namespace === name),
      podGoneAt: podGoneAt.get(name) ?? 0,
      now: clock.now(),
      idTaken: (id) => holdersOf(id).some((other) => other !== uid),
      idOfOlder: (id) =>
        namespaces.list().some((other) => isOlder(other, namespace) && other.metadata.annotations?.[Annotation.accountId] === id),
    });
    for (const object of notOwned) tell(namespace, object);
    // One after the other: each makes sense only after the former.
    for (const step of steps) await carryOut(namespace, step);
    return undefined;
  }

  /** The namespace with the id that was written into it, though the watch may not have brought it back yet. */
  function withGivenId(cached: NamespaceObject): NamespaceObject {
    const id = given.get(cached.metadata.uid ?? "");
    if (id === undefined) return cached;
    return { ...cached, metadata: { ...cached.metadata, annotations: { ...cached.metadata.annotations, [Annotation.accountId]: id } } };
  }

  /** The account's objects, isolation first: the gateway is let in when everything else stands. */
  async function gather(namespace: NamespaceObject): Promise<AccountObject[]> {
    const { name } = namespace.metadata;
    const desired: [ResourceRef, Cache<KubeObject>, KubeObject][] = [
      ...accountNetworkPolicies(name, deps.network, deps.internetExceptions.get()).map(
        (policy): [ResourceRef, Cache<KubeObject>, KubeObject] => [Resources.networkPolicy, owned.networkPolicies, policy],
      ),
      [Resources.serviceAccount, owned.serviceAccounts, environmentServiceAccount(name)],
      [Resources.roleBinding, owned.roleBindings, gatewayRoleBinding(name, deps.gateway)],
    ];
    const enabled = accountOf(namespace).enabled;
    return Promise.all(
      desired.map(async ([resource, cache, object]) => {
        const cached = cache.get(name, object.metadata.name);
        // The caches hold what is labelled as ours: before something is made, whoever else may have the name is asked for.
        const actual =
          cached ?? (enabled ? await client.get<KubeObject>(resource, { namespace: name, name: object.metadata.name }) : undefined);
        return { resource, desired: object, actual };
      }),
    );
  }

  function holdersOf(id: string): string[] {
    const written = namespaces.list().filter(({ metadata }) => metadata.annotations?.[Annotation.accountId] === id);
    const reserved = [...given].filter(([, reservedId]) => reservedId === id).map(([uid]) => uid);
    return [...written.map(({ metadata }) => metadata.uid ?? ""), ...reserved];
  }

  async function carryOut(namespace: NamespaceObject, step: AccountStep): Promise<void> {
    const { uid = "" } = namespace.metadata;
    switch (step.type) {
      case "apply":
        await client.apply(step.resource, step.object, { fieldManager: FieldManager.accounts });
        return;
      case "delete": {
        const { metadata } = step.object;
        await client.delete(step.resource, { namespace: metadata.namespace, name: metadata.name, uid: metadata.uid });
        return;
      }
      case "giveId":
        // Reserved before anything is awaited, so that two namespaces never choose the same.
        given.set(uid, step.accountId);
        try {
          await annotate(namespace, { [Annotation.accountId]: step.accountId });
        } catch (error) {
          given.delete(uid);
          throw error;
        }
        deps.events.record({
          regarding: namespace,
          type: "Normal",
          reason: "AccountEnabled",
          action: "Enable",
          note: `The namespace is account ${step.accountId}.`,
        });
        return;
      case "tellEmptied":
        await annotate(namespace, { [Annotation.accountId]: step.accountId, [Annotation.emptiedAt]: step.at });
    }
  }

  /** @param annotations all that are this controller's */
  async function annotate(namespace: NamespaceObject, annotations: Record<string, string>): Promise<void> {
    const { name, uid = "" } = namespace.metadata;
    // Without the UID this would make a namespace that was deleted meanwhile anew.
    const metadata = { name, uid, annotations };
    await client.apply(Resources.namespace, { apiVersion: "v1", kind: "Namespace", metadata }, { fieldManager: FieldManager.accounts });
  }

  function tell(namespace: NamespaceObject, object: KubeObject): void {
    const { name } = object.metadata;
    deps.events.record({
      regarding: namespace,
      type: "Warning",
      reason: "NotOwned",
      action: "Enable",
      note: `${object.kind} ${name} was not made by Kappa, which needs the name: kubectl delete ${object.kind.toLowerCase()} ${name} -n ${namespace.metadata.name}. Until then no function runs in this namespace.`,
    });
    deps.log.warn(`namespace ${namespace.metadata.name}: ${object.kind} ${name} exists and is not Kappa's; the account is not set up`);
  }

  function addAll(): void {
    for (const namespace of namespaces.list()) if (accountOf(namespace).enabled) queue.add(namespace.metadata.name);
  }

  return {
    start() {
      subscriptions.push(
        namespaces.subscribe(({ type, object }) => {
          const { uid = "", name, annotations } = object.metadata;
          if (type === "delete" || annotations?.[Annotation.accountId] === given.get(uid)) given.delete(uid);
          if (type === "upsert") queue.add(name);
          else podGoneAt.delete(name);
        }),
        ...Object.values(owned).map((cache) => cache.subscribe(({ object }) => queue.add(object.metadata.namespace ?? ""))),
        // A namespace that goes, or stops being an account, waits for its pods.
        pods.subscribe(({ type, object }) => {
          const { namespace = "" } = object.metadata;
          const found = namespaces.get(undefined, namespace);
          if (type !== "delete" || found === undefined || accountOf(found).enabled) return;
          podGoneAt.set(namespace, clock.now());
          queue.add(namespace);
        }),
        deps.internetExceptions.subscribe(addAll),
      );
      queue.start();
    },
    async stop() {
      for (const end of subscriptions.splice(0)) end();
      await queue.stop();
    },
  };
}
