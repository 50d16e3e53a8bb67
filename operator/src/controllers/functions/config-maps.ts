import type { Function as LambdaFunction } from "../../api/types.generated.ts";
import { type KubeObject, objectKey, type Reflector } from "../../kube/index.ts";
import type { ConfigMapData, ConfigMapHandle } from "./code.ts";

/** A ConfigMap of the API. */
export type ConfigMapObject = KubeObject & ConfigMapData;

/** What is used of a namespace's Reflector. */
export type ConfigMapCache = Pick<Reflector<KubeObject>, "get" | "subscribe" | "synced" | "start" | "stop">;

/** What is cached of a ConfigMap: that it exists, and in which version. */
export function onlyVersion({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion } = metadata;
  return {
    apiVersion,
    kind,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
  };
}

/**
 * ConfigMaps that functions take their code from. Only namespaces with such a function are watched, because most ConfigMaps of a
 * cluster have nothing to do with Kappa; and of those, only which there are, because they may hold 1 MiB each.
 */
export class ConfigMaps {
  #open: (namespace: string) => ConfigMapCache;
  #get: (namespace: string, name: string) => Promise<ConfigMapObject | undefined>;
  /** By namespace: its cache and the functions that need it. */
  #caches = new Map<string, { cache: ConfigMapCache; users: Set<string> }>();
  #subscribers = new Set<(namespace: string, name: string) => void>();

  /**
   * @param open makes the cache of one namespace, not started
   * @param get reads one ConfigMap from the API server
   */
  constructor(open: (namespace: string) => ConfigMapCache, get: (namespace: string, name: string) => Promise<ConfigMapObject | undefined>) {
    this.#open = open;
    this.#get = get;
  }

  /** The ConfigMap that the function's code is in, once its namespace has been listed; undefined when it does not exist, or code is elsewhere. */
  async find(fn: LambdaFunction): Promise<ConfigMapHandle | undefined> {
    const { namespace = "" } = fn.metadata;
    const key = objectKey(fn.metadata);
    const source = fn.spec.code.configMap;
    if (source === undefined) {
      this.release(key);
      return undefined;
    }
    const { cache, users } = this.#caches.get(namespace) ?? this.#watch(namespace);
    users.add(key);
    await cache.synced();
    const found = cache.get(namespace, source.name);
    if (found === undefined) return undefined;
    const { uid = "", resourceVersion = "" } = found.metadata;
    return { uid, resourceVersion, read: () => this.#get(namespace, source.name) };
  }

  /** A function (`namespace/name`) is gone or needs no ConfigMap any more. */
  release(key: string): void {
    const namespace = key.slice(0, key.indexOf("/"));
    const watched = this.#caches.get(namespace);
    if (!watched?.users.delete(key) || watched.users.size > 0) return;
    this.#caches.delete(namespace);
    void watched.cache.stop();
  }

  /** Calls back with the namespace and name of every ConfigMap that changes. */
  subscribe(changed: (namespace: string, name: string) => void): () => void {
    this.#subscribers.add(changed);
    return () => {
      this.#subscribers.delete(changed);
    };
  }

  /** Ends every watch. */
  async close(): Promise<void> {
    const caches = [...this.#caches.values()];
    this.#caches.clear();
    await Promise.all(caches.map(({ cache }) => cache.stop()));
  }

  #watch(namespace: string) {
    const watched = { cache: this.#open(namespace), users: new Set<string>() };
    this.#caches.set(namespace, watched);
    watched.cache.subscribe(({ object }) => {
      for (const changed of this.#subscribers) changed(namespace, object.metadata.name);
    });
    watched.cache.start();
    return watched;
  }
}
