import dotI, {
  type OperatorLogger,
  type ResourceEventType,
  type ResourceMeta,
  ResourceMetaImpl,
  type ResourceEvent as StockEvent,
} from "@dot-i/k8s-operator";
import { KappaError } from "../domain/errors.ts";
import type { KubeClient } from "./client.ts";
import type { Clock } from "./clock.ts";
import { KubeError } from "./errors.ts";
import { type KubeObject, objectKey, parseKey, type ResourceRef, Resources, resourcePath } from "./objects.ts";
import { Reflector, type ReflectorOptions } from "./reflector.ts";
import { type ReconcileResult, WorkQueue, type WorkQueueOptions, type WorkQueueSample } from "./work-queue.ts";

export type { OperatorLogger } from "@dot-i/k8s-operator";

/** An event on a watched resource. The object's metadata is the handler's own copy; the rest is shared and must not be changed. */
export interface ResourceEvent<T extends KubeObject = KubeObject> extends Omit<StockEvent, "object"> {
  object: T;
}

export interface OperatorShellOptions {
  client: KubeClient;
  logger?: OperatorLogger | undefined;
  /** Workers of each watched resource's queue. Default 4. */
  workers?: number | undefined;
  /** Told of every handled event. Must not throw. */
  onResult?: ((sample: WorkQueueSample) => void) | undefined;
  clock?: Clock | undefined;
}

const DEFAULT_WORKERS = 4;

/** The package is CommonJS: its default import is the whole module in Node, and the class itself under tools that unwrap it (vitest). */
const imported: unknown = dotI;
const Operator = (typeof imported === "function" ? imported : dotI.default) as typeof dotI.default;

/**
 * What the controllers start from: the protocol of `@dot-i/k8s-operator` (`init`, `start`, `stop`, resource events, the finalizer
 * protocol) over our own transport. What is kept, what is overridden and why: docs/adr/0002-operator-shell.md.
 *
 * `init` declares reflectors and queues; `start` fills the caches first and lets the queues work afterwards, so that a handler never
 * decides from half a picture. A shell that was stopped is not started again: make another one.
 */
export abstract class OperatorShell extends Operator {
  protected readonly client: KubeClient;
  #options: OperatorShellOptions;
  #reflectors = new Map<string, Reflector<KubeObject>>();
  #queues: WorkQueue[] = [];
  /** Resources by the id that stock gives them in `ResourceMeta`. */
  #watched = new Map<string, ResourceRef>();
  #stopped = false;

  constructor(options: OperatorShellOptions) {
    super(options.logger);
    this.#options = options;
    this.client = options.client;
  }

  /** Calls `init`, fills every cache, then lets the queues work. Resolves when they do. */
  override async start(): Promise<void> {
    await this.init();
    for (const reflector of this.#reflectors.values()) reflector.start();
    try {
      await Promise.all([...this.#reflectors.values()].map((reflector) => reflector.synced()));
    } catch (error) {
      if (this.#stopped) return;
      throw error;
    }
    for (const queue of this.#queues) queue.start();
  }

  /** Lets what is being handled finish, then ends the watches. */
  override async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#queues.map((queue) => queue.stop()));
    await Promise.all([...this.#reflectors.values()].map((reflector) => reflector.stop()));
  }

  /** A cache of a collection, started and stopped with the shell; the same options give the same cache. To be called from `init`. */
  protected reflector<T extends KubeObject>(options: ReflectorOptions<T>): Reflector<T> {
    const { resource, namespace, labelSelector, fieldSelector } = options;
    const id = JSON.stringify([resourcePath(resource, { namespace }), labelSelector, fieldSelector]);
    const known = this.#reflectors.get(id);
    // The key names the collection, and a collection has one type of object.
    if (known) return known as unknown as Reflector<T>;
    const onError = (error: unknown) => this.logger.warn(`watching ${resource.plural}: ${messageOf(error)}`);
    const reflector = new Reflector<T>(this.client, { onError, clock: this.#options.clock, ...options });
    this.#reflectors.set(id, reflector as unknown as Reflector<KubeObject>);
    return reflector;
  }

  /** A work queue, started and stopped with the shell. To be called from `init`. */
  protected queue(options: Pick<WorkQueueOptions, "name" | "reconcile"> & Partial<WorkQueueOptions>): WorkQueue {
    const onResult = (sample: WorkQueueSample) => {
      if (sample.outcome === "error")
        this.logger.error(
          `${sample.queue} ${sample.key} failed ${sample.failures} times, next try in ${sample.retryAfterMs} ms: ${messageOf(sample.error)}`,
        );
      this.#options.onResult?.(sample);
    };
    const queue = new WorkQueue({ workers: this.#options.workers ?? DEFAULT_WORKERS, clock: this.#options.clock, ...options, onResult });
    this.#queues.push(queue);
    return queue;
  }

  /**
   * Calls `onEvent` for every object: ADDED until it succeeded once, then MODIFIED, at last DELETED with the last known state. Events of
   * one object come one after the other and several changes may be told as one; a handler that rejects is called again with back-off.
   */
  // @ts-expect-error stock declares timestamps as Date, but hands over the JSON as it came: strings
  protected override async watchResource<T extends KubeObject = KubeObject>(
    group: string,
    version: string,
    plural: string,
    // biome-ignore lint/suspicious/noConfusingVoidType: a handler that returns nothing is the stock protocol
    onEvent: (event: ResourceEvent<T>) => Promise<ReconcileResult | void>,
    namespace?: string,
  ): Promise<void> {
    const resource = resourceOf(group, version, plural);
    const id = `${plural}.${resource.apiVersion}`;
    this.#watched.set(id, resource);
    const reflector = this.reflector<T>({ resource, namespace });
    const handled = new Set<string>();
    const gone = new Map<string, T>();
    const send = (type: `${ResourceEventType}`, object: T) => onEvent(eventOf(id, type, object));
    const queue = this.queue({
      name: plural,
      reconcile: async (key) => {
        const lost = gone.get(key);
        if (lost) {
          await send("DELETED", lost);
          handled.delete(key);
          if (gone.get(key) === lost) gone.delete(key);
        }
        const ref = parseKey(key);
        const object = reflector.get(ref.namespace, ref.name);
        if (!object) return undefined;
        const result = await send(handled.has(key) ? "MODIFIED" : "ADDED", object);
        handled.add(key);
        return result ?? undefined;
      },
    });
    reflector.subscribe((event) => {
      const key = objectKey(event.object.metadata);
      if (event.type === "delete") gone.set(key, event.object);
      queue.add(key);
    });
  }

  /** Path of a collection or, with a namespace, of its part there. Stock prefixes the server's URL; the client knows it. */
  protected override getCustomResourceApiUri(group: string, version: string, plural: string, namespace?: string): string {
    return resourcePath({ apiVersion: apiVersionOf(group, version), kind: "", plural, namespaced: true }, { namespace });
  }

  /** Replaces the status. @throws KubeError, where stock returned null; with `conflict` when somebody wrote since `meta` was read */
  protected override async setResourceStatus(meta: ResourceMeta, status: unknown): Promise<ResourceMeta> {
    const object = { apiVersion: meta.apiVersion, kind: meta.kind, metadata: metadataOf(meta), status };
    return metaOf(meta.id, await this.client.update<KubeObject>(this.#resource(meta), object, { subresource: "status" }));
  }

  /** Changes parts of the status (JSON merge patch). @throws KubeError, where stock returned null */
  protected override async patchResourceStatus(meta: ResourceMeta, status: unknown): Promise<ResourceMeta> {
    const { resourceVersion } = meta;
    return metaOf(
      meta.id,
      await this.client.mergePatch(this.#resource(meta), meta, { metadata: { resourceVersion }, status }, { subresource: "status" }),
    );
  }

  /**
   * Replaces the finalizers, guarded by the resource version: stock overwrote what others had added meanwhile, and swallowed failures.
   * @throws KubeError, so that the event comes again
   */
  protected override async setResourceFinalizers(meta: ResourceMeta, finalizers: string[]): Promise<void> {
    try {
      await this.client.mergePatch(this.#resource(meta), meta, { metadata: { resourceVersion: meta.resourceVersion, finalizers } });
    } catch (error) {
      if (!(error instanceof KubeError && error.notFound)) throw error;
      // Gone already: nothing is held up.
    }
  }

  /** Not offered: the chart installs and upgrades the CRDs, and the operator has no right to. */
  protected override async registerCustomResourceDefinition(crdFile: string): Promise<never> {
    throw new KappaError("K300", `${crdFile}: CustomResourceDefinitions are installed by the chart`);
  }

  #resource(meta: ResourceMeta): ResourceRef {
    const resource = this.#watched.get(meta.id);
    if (!resource) throw new KappaError("K300", `${meta.id} is not watched by this operator`);
    return resource;
  }
}

const apiVersionOf = (group: string, version: string): string => (group ? `${group}/${version}` : version);

function resourceOf(group: string, version: string, plural: string): ResourceRef {
  const apiVersion = apiVersionOf(group, version);
  const resource = Object.values(Resources).find((known) => known.apiVersion === apiVersion && known.plural === plural);
  if (!resource) throw new KappaError("K300", `${plural} of ${apiVersion} is not in the table of resources (kube/objects.ts)`);
  return resource;
}

function metaOf(id: string, object: KubeObject): ResourceMeta {
  return ResourceMetaImpl.createWithId(id, object as unknown as Parameters<typeof ResourceMetaImpl.createWithId>[1]);
}

function metadataOf(meta: ResourceMeta): KubeObject["metadata"] {
  const { name, namespace, resourceVersion } = meta;
  return namespace === undefined ? { name, resourceVersion } : { name, namespace, resourceVersion };
}

function eventOf<T extends KubeObject>(id: string, type: `${ResourceEventType}`, object: T): ResourceEvent<T> {
  const { finalizers } = object.metadata;
  // The stock finalizer protocol pushes into the array it is given; the cache must not change under its readers.
  const metadata = finalizers ? { ...object.metadata, finalizers: [...finalizers] } : { ...object.metadata };
  return { meta: metaOf(id, object), type: type as ResourceEventType, object: { ...object, metadata } };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
