/** The controllers: one process' caches, who leads, and what the leader does. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Alias, Function as LambdaFunction, LayerVersion, Version } from "../api/types.generated.ts";
import type { PackageStore, UserBus } from "../bus/index.ts";
import { functionNameOf } from "../domain/effective.ts";
import { type KubeClient, type KubeObject, LeaderElector, Reflector, Resources } from "../kube/index.ts";
import { OperatorShell } from "../kube/operator-shell.ts";
import { Annotation, Component, Label, MANAGED_BY } from "../resources/labels.ts";
import { internetExceptions } from "../resources/network-policies.ts";
import { clusterAddresses, type EndpointSliceObject, type NodeObject } from "./accounts/cluster-addresses.ts";
import { accountController } from "./accounts/controller.ts";
import type { NamespaceObject } from "./accounts/decide.ts";
import { aliasController } from "./aliases/controller.ts";
import { CacheIndex, functionKey } from "./cache-index.ts";
import type { ControllerConfig } from "./config-types.ts";
import type { Controller, ControllerContext } from "./context.ts";
import { CodeIntake } from "./functions/code-intake.ts";
import { type ConfigMapObject, ConfigMaps, onlyVersion } from "./functions/config-maps.ts";
import { functionController } from "./functions/controller.ts";
import { withoutCode } from "./functions/held-code.ts";
import { checkPackageFile } from "./functions/package-check.ts";
import { Scratch } from "./functions/scratch.ts";
import { createUrlSource, type UrlSource } from "./functions/url-source.ts";
import { kindsController } from "./kinds/controller.ts";
import type { ConditionedObject } from "./kinds/decide.ts";
import { type PackageInventory, packageSweep } from "./packages/sweep.ts";
import { podController } from "./pods/controller.ts";
import type { PodObject } from "./pods/decide.ts";
import { provisionedController } from "./provisioned/controller.ts";
import { versionController } from "./versions/controller.ts";

export type { ControllerConfig } from "./config-types.ts";

/** Name of the Lease that the leading replica holds. */
const LEASE = "kappa-controller";

/** What the controllers work with; whoever made it closes it after `stop`. */
export interface ControllerDeps extends Omit<ControllerContext, "client"> {
  client: KubeClient;
  packages: PackageStore & PackageInventory;
  userObjects: Pick<UserBus, "openObject">;
}

/** The running controllers of this process. */
export interface Controllers {
  /** Why this replica could not take over now, one sentence each; empty when its caches are in sync. */
  notReady(): readonly string[];
  /** Resolves when every cache was in sync for the first time. */
  synced: Promise<void>;
  /** Whether this replica is the one that writes. */
  readonly isLeader: boolean;
  /** Lets what is under way finish, gives up the Lease and ends every watch. */
  stop(): Promise<void>;
}

/**
 * Starts the controllers: caches at once, writers while this replica holds the Lease. Returns without waiting for the API server.
 * @throws KappaError K300 when a CIDR in the configuration is none
 */
export function startControllers(deps: ControllerDeps, config: ControllerConfig): Controllers {
  // Wrong configuration shows now and not when the first namespace is enabled.
  internetExceptions([...config.clusterCidrs, ...config.urlAllowCidrs]);
  const shell = new ControllerShell(deps, config);
  const synced = shell.start();
  // A stop before the first sync is no failure; whoever awaits `synced` hears of any other.
  synced.catch(() => {});
  const elector = new LeaderElector({
    client: deps.client,
    namespace: config.namespace,
    name: LEASE,
    identity: config.instance,
    clock: deps.clock,
    onStartedLeading: () => {
      deps.metrics.leader(true);
      deps.log.info("leading from now on");
      shell.lead();
    },
    onStoppedLeading: (reason) => {
      deps.metrics.leader(false);
      deps.log.info(reason === "lost" ? "the lease could not be renewed: another replica leads" : "no longer leading");
      void shell.follow();
    },
    onError: (error) => deps.log.warn(`leader election: ${error instanceof Error ? error.message : String(error)}`),
  });
  // A candidate whose caches are empty would decide from nothing.
  void synced.then(
    () => elector.start(),
    () => {},
  );
  return {
    notReady: () => shell.notReady(),
    synced,
    get isLeader() {
      return elector.isLeader;
    },
    async stop() {
      // Writers first, then the Lease, so that the next leader finds nobody writing.
      await shell.follow();
      await elector.stop();
      await shell.stop();
    },
  };
}

/** The caches of all controllers, and the controllers of the present term of leadership. */
class ControllerShell extends OperatorShell {
  #deps: ControllerDeps;
  #config: ControllerConfig;
  #caches: Caches;
  #indexes: Indexes;
  #exceptions: InternetExceptions;
  #urls: UrlSource;
  #scratch: Scratch;
  #term: Controller[] = [];
  /** Terms end one after the other: a new one begins when the last is over. */
  #turn: Promise<void> = Promise.resolve();

  constructor(deps: ControllerDeps, config: ControllerConfig) {
    super({ client: deps.client, logger: deps.log, clock: deps.clock });
    this.#deps = deps;
    this.#config = config;
    const environments = `${Label.component}=${Component.environment}`;
    const owned = `${Label.managedBy}=${MANAGED_BY}`;
    this.#caches = {
      functions: this.reflector<LambdaFunction>({ resource: Resources.function, transform: withoutCode }),
      versions: this.reflector<Version>({ resource: Resources.version }),
      layerVersions: this.reflector<LayerVersion>({ resource: Resources.layerVersion }),
      aliases: this.reflector<Alias>({ resource: Resources.alias }),
      eventSourceMappings: this.reflector<ConditionedObject>({ resource: Resources.eventSourceMapping }),
      vpcs: this.reflector<ConditionedObject>({ resource: Resources.vpc }),
      namespaces: this.reflector<NamespaceObject>({ resource: Resources.namespace }),
      pods: this.reflector<PodObject>({ resource: Resources.pod, labelSelector: environments, transform: withoutSpec }),
      serviceAccounts: this.reflector<KubeObject>({ resource: Resources.serviceAccount, labelSelector: owned }),
      roleBindings: this.reflector<KubeObject>({ resource: Resources.roleBinding, labelSelector: owned }),
      networkPolicies: this.reflector<KubeObject>({ resource: Resources.networkPolicy, labelSelector: owned }),
      nodes: this.reflector<NodeObject>({ resource: Resources.node, transform: onlyAddresses }),
      apiServer: this.reflector<EndpointSliceObject>({
        resource: Resources.endpointSlice,
        namespace: "default",
        labelSelector: "kubernetes.io/service-name=kubernetes",
      }),
    };
    this.#indexes = {
      functionsByName: new CacheIndex(this.#caches.functions, (fn) => functionKey(fn.metadata.namespace, functionNameOf(fn))),
      versionsByFunction: new CacheIndex(this.#caches.versions, ofFunction),
      aliasesByFunction: new CacheIndex(this.#caches.aliases, ofFunction),
      provisionedPods: new CacheIndex(this.#caches.pods, ofProvisioned),
    };
    this.#exceptions = new InternetExceptions(this.#caches, config.clusterCidrs);
    this.#scratch = new Scratch(join(tmpdir(), `kappa-packages-${config.instance}`));
    this.#urls = createUrlSource({ allowed: config.urlAllowCidrs, refused: () => this.#exceptions.get() });
    deps.metrics.observeFunctions(() => countStates(this.#caches.functions.list()));
  }

  /** The caches are declared by the constructor. */
  protected async init(): Promise<void> {}

  notReady(): readonly string[] {
    const waiting = Object.entries(this.#caches).filter(([, cache]) => !cache.hasSynced);
    return waiting.map(([name]) => `the cache of ${name} is not in sync with the API server yet`);
  }

  /** Begins a term: makes the controllers and starts them. */
  lead(): void {
    this.#turn = this.#turn.then(() => {
      this.#term = this.#controllers();
      for (const controller of this.#term) controller.start();
    });
  }

  /** Ends the term, when there is one. */
  follow(): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      await Promise.all(this.#term.splice(0).map((controller) => controller.stop()));
    });
    return this.#turn;
  }

  override async stop(): Promise<void> {
    await this.follow();
    await this.#urls.close();
    await super.stop();
  }

  #controllers(): Controller[] {
    const { client, events, metrics, clock, log, packages, userObjects } = this.#deps;
    const { region, images, environment, accountConcurrency, workers, namespace, gatewayServiceAccount, network } = this.#config;
    const runtimes = Object.keys(images);
    const context: ControllerContext = { client, events, metrics, clock, log };
    const { functions, versions, aliases, layerVersions, namespaces, pods, serviceAccounts, roleBindings, networkPolicies } = this.#caches;
    const intake = new CodeIntake({
      packages,
      userObjects,
      urls: this.#urls,
      scratch: this.#scratch,
      check: checkPackageFile,
      metrics,
      clock,
    });
    const configMaps = new ConfigMaps(
      (of) =>
        new Reflector<KubeObject>(client, {
          resource: Resources.configMap,
          namespace: of,
          metadataOnly: true,
          transform: onlyVersion,
          clock,
          onError: (error) => log.warn(`watching configmaps of ${of}: ${error instanceof Error ? error.message : String(error)}`),
        }),
      (of, name) => client.get<ConfigMapObject>(Resources.configMap, { namespace: of, name }),
    );
    const ofFunctions = functionController({
      ...context,
      functions,
      namespaces,
      configMaps,
      intake,
      region,
      runtimes,
      accountConcurrency,
      workers,
    });
    return [
      accountController({
        ...context,
        namespaces,
        owned: { serviceAccounts, roleBindings, networkPolicies },
        pods,
        internetExceptions: this.#exceptions,
        network: { ...network, systemNamespace: namespace },
        gateway: { serviceAccount: gatewayServiceAccount, namespace },
        workers,
      }),
      ofFunctions,
      versionController({ ...context, ...this.#indexes, functions, versions, namespaces, packages, region, runtimes, workers }),
      aliasController({ ...context, ...this.#indexes, functions, versions, aliases, namespaces, region, workers }),
      provisionedController({
        ...context,
        ...this.#indexes,
        ...{ functions, versions, aliases, namespaces, pods, images, environment, accountConcurrency, workers },
      }),
      podController({ ...context, pods }),
      packageSweep({
        ...context,
        packages,
        functions,
        versions,
        layerVersions,
        intake,
        requeue: ofFunctions.requeue,
      }),
      kindsController(
        [
          { resource: Resources.eventSourceMapping, cache: this.#caches.eventSourceMappings },
          { resource: Resources.layerVersion, cache: layerVersions },
          { resource: Resources.vpc, cache: this.#caches.vpcs },
        ],
        context,
      ),
    ];
  }
}

interface Caches {
  functions: Reflector<LambdaFunction>;
  versions: Reflector<Version>;
  layerVersions: Reflector<LayerVersion>;
  aliases: Reflector<Alias>;
  eventSourceMappings: Reflector<ConditionedObject>;
  vpcs: Reflector<ConditionedObject>;
  namespaces: Reflector<NamespaceObject>;
  pods: Reflector<PodObject>;
  serviceAccounts: Reflector<KubeObject>;
  roleBindings: Reflector<KubeObject>;
  networkPolicies: Reflector<KubeObject>;
  nodes: Reflector<NodeObject>;
  apiServer: Reflector<EndpointSliceObject>;
}

/** The caches by what belongs to a function: no reconciliation looks at every object of a kind. */
interface Indexes {
  functionsByName: CacheIndex<LambdaFunction>;
  versionsByFunction: CacheIndex<Version>;
  aliasesByFunction: CacheIndex<Alias>;
  /** By UID of the function. */
  provisionedPods: CacheIndex<PodObject>;
}

const ofFunction = ({ metadata, spec }: Version | Alias): string => functionKey(metadata.namespace, spec.functionName);

/** The function that a pod of provisioned concurrency belongs to. */
const ofProvisioned = ({ metadata }: PodObject): string | undefined =>
  metadata.annotations?.[Annotation.provisioned] === undefined ? undefined : metadata.ownerReferences?.[0]?.uid;

/** What "the internet" leaves out now, told when it changes and not with every heartbeat of a node. */
class InternetExceptions {
  #caches: Pick<Caches, "nodes" | "apiServer">;
  #clusterCidrs: readonly string[];

  constructor(caches: Pick<Caches, "nodes" | "apiServer">, clusterCidrs: readonly string[]) {
    this.#caches = caches;
    this.#clusterCidrs = clusterCidrs;
  }

  get(): readonly string[] {
    return internetExceptions([...this.#clusterCidrs, ...clusterAddresses(this.#caches.nodes.list(), this.#caches.apiServer.list())]);
  }

  subscribe(changed: () => void): () => void {
    let last = this.get().join();
    const look = () => {
      const now = this.get().join();
      if (now === last) return;
      last = now;
      changed();
    };
    const ends = [this.#caches.nodes.subscribe(look), this.#caches.apiServer.subscribe(look)];
    return () => {
      for (const end of ends) end();
    };
  }
}

/** Nodes are large and change all the time; their addresses are what counts. */
function onlyAddresses(node: NodeObject): NodeObject {
  const { apiVersion, kind, metadata, spec, status } = node;
  const { name, uid, resourceVersion } = metadata;
  return {
    apiVersion,
    kind,
    metadata: { name, ...(uid === undefined ? {} : { uid }), ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    spec: { podCIDRs: spec?.podCIDRs ?? [] },
    status: { addresses: status?.addresses ?? [] },
  };
}

/** What a pod runs is of no interest here, only how it ends. */
function withoutSpec(pod: PodObject): PodObject {
  const { apiVersion, kind, metadata, status } = pod;
  delete metadata.managedFields;
  return { apiVersion, kind, metadata, ...(status === undefined ? {} : { status }) };
}

function countStates(functions: readonly LambdaFunction[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of functions) {
    const state = status?.state ?? "Pending";
    counts[state] = (counts[state] ?? 0) + 1;
  }
  return counts;
}
