import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { type KubeObject, Resources } from "../kube/objects.ts";
import { Reflector } from "../kube/reflector.ts";
import { ACCESS_KEY_SECRET_TYPE, Annotation, Component, Label } from "../resources/labels.ts";
import type { Logger } from "../telemetry/log.ts";
import { type AccessKeySecret, trimAccessKey } from "./access-keys.ts";
import { type Pod, trimPod } from "./pod.ts";

/** Where the objects of accounts go, as they come and change. */
export interface AccountSink {
  putPod(pod: Pod): void;
  removePod(pod: Pod): void;
  putKey(secret: AccessKeySecret): void;
  removeKey(secret: AccessKeySecret): void;
}

interface Account {
  id: string;
  /** API server's creation time and the UID: of two namespaces with one id the older has it, as the controller decides it. */
  age: string;
  pods: Reflector<Pod>;
  keys: Reflector<AccessKeySecret>;
}

export interface AccountsOptions {
  client: KubeClient;
  sink: AccountSink;
  log: Logger;
  clock: Clock;
}

const ACCOUNT_ID = /^\d{12}$/;

/**
 * The namespaces that are accounts, and a watch of the environment pods and access keys in each: the gateway may look into these
 * namespaces only (a RoleBinding that comes with enabling them), so there is no watch over all.
 */
export class Accounts {
  readonly #options: AccountsOptions;
  readonly #namespaces: Reflector<KubeObject>;
  readonly #accounts = new Map<string, Account>();
  readonly #byId = new Map<string, string>();

  constructor(options: AccountsOptions) {
    this.#options = options;
    this.#namespaces = new Reflector<KubeObject>(options.client, {
      resource: Resources.namespace,
      labelSelector: `${Label.enabled}=true`,
      clock: options.clock,
      onError: (error) => options.log.warn({ err: error }, "the namespaces cannot be watched; trying again"),
    });
    this.#namespaces.subscribe(({ type, object }) => (type === "upsert" ? this.#upsert(object) : this.#remove(object.metadata.name)));
  }

  start(): void {
    this.#namespaces.start();
  }

  async stop(): Promise<void> {
    await Promise.all([this.#namespaces.stop(), ...[...this.#accounts.values()].flatMap(({ pods, keys }) => [pods.stop(), keys.stop()])]);
  }

  /** Resolves once the namespaces are known. */
  synced(): Promise<void> {
    return this.#namespaces.synced();
  }

  get hasSynced(): boolean {
    return this.#namespaces.hasSynced;
  }

  /** Accounts whose pods or keys were not listed yet, usually because their RoleBinding is still to come. */
  unsynced(): string[] {
    return [...this.#accounts].filter(([, { pods, keys }]) => !pods.hasSynced || !keys.hasSynced).map(([namespace]) => namespace);
  }

  /** Whether the environments of an account are known, all that were there when it was first looked at. */
  isWatched(namespace: string): boolean {
    return this.#accounts.get(namespace)?.pods.hasSynced ?? false;
  }

  /** 12 digits; absent when the namespace is no account. */
  idOf(namespace: string): string | undefined {
    return this.#accounts.get(namespace)?.id;
  }

  namespaceOf(accountId: string): string | undefined {
    return this.#byId.get(accountId);
  }

  #upsert({ metadata }: KubeObject): void {
    const namespace = metadata.name;
    const id = metadata.annotations?.[Annotation.accountId];
    // The controller writes the id a moment after the label was set.
    if (id === undefined || !ACCOUNT_ID.test(id) || metadata.deletionTimestamp !== undefined) return;
    const age = `${metadata.creationTimestamp ?? ""} ${metadata.uid ?? ""}`;
    const known = this.#accounts.get(namespace);
    if (known) {
      if (known.id === id) return;
      const former = known.id;
      known.id = id;
      known.age = age;
      this.#index(former);
    } else {
      this.#accounts.set(namespace, this.#watch(namespace, id, age));
    }
    this.#index(id);
  }

  /** Finds the namespace that an account id stands for. */
  #index(id: string): void {
    const holders = [...this.#accounts].filter(([, account]) => account.id === id).sort(([, a], [, b]) => (a.age < b.age ? -1 : 1));
    const [oldest] = holders;
    if (oldest) this.#byId.set(id, oldest[0]);
    else this.#byId.delete(id);
    if (holders.length > 1)
      this.#options.log.error(
        { accountId: id, namespaces: holders.map(([namespace]) => namespace) },
        "several namespaces have one account id; ARNs lead to the oldest",
      );
  }

  #watch(namespace: string, id: string, age: string): Account {
    const { client, sink, log, clock } = this.#options;
    const pods = new Reflector<Pod>(client, {
      resource: Resources.pod,
      namespace,
      labelSelector: `${Label.component}=${Component.environment}`,
      transform: trimPod,
      clock,
      onError: (error) => log.warn({ err: error, namespace }, "the environment pods cannot be watched; trying again"),
    });
    pods.subscribe(({ type, object }) => (type === "upsert" ? sink.putPod(object) : sink.removePod(object)));
    const keys = new Reflector<AccessKeySecret>(client, {
      resource: Resources.secret,
      namespace,
      fieldSelector: `type=${ACCESS_KEY_SECRET_TYPE}`,
      transform: trimAccessKey,
      clock,
      onError: (error) => log.warn({ err: error, namespace }, "the access keys cannot be watched; trying again"),
    });
    keys.subscribe(({ type, object }) => (type === "upsert" ? sink.putKey(object) : sink.removeKey(object)));
    pods.start();
    keys.start();
    return { id, age, pods, keys };
  }

  #remove(namespace: string): void {
    const account = this.#accounts.get(namespace);
    if (!account) return;
    this.#accounts.delete(namespace);
    this.#index(account.id);
    const { sink, log } = this.#options;
    for (const secret of account.keys.list()) sink.removeKey(secret);
    for (const pod of account.pods.list()) sink.removePod(pod);
    Promise.all([account.pods.stop(), account.keys.stop()]).catch((err: unknown) =>
      log.warn({ err, namespace }, "a watch did not end in order"),
    );
  }
}
