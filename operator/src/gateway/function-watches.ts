import type { Alias, Function as FunctionObject, Version } from "../api/types.generated.ts";
import type { KubeClient } from "../kube/client.ts";
import type { Clock } from "../kube/clock.ts";
import { type KubeObject, type ResourceRef, Resources } from "../kube/objects.ts";
import { Reflector } from "../kube/reflector.ts";
import type { Logger } from "../telemetry/log.ts";
import { type FunctionRegistry, trimAlias, trimFunction, trimVersion } from "./function-registry.ts";

export interface FunctionWatchesOptions {
  client: KubeClient;
  registry: FunctionRegistry;
  clock: Clock;
  log: Logger;
}

/** Keeps the registry as the API server has the functions, versions and aliases of all accounts. */
export class FunctionWatches {
  readonly #reflectors: readonly Pick<Reflector<KubeObject>, "start" | "stop" | "synced" | "hasSynced">[];

  constructor({ client, registry, clock, log }: FunctionWatchesOptions) {
    const watch = <T extends KubeObject>(
      resource: ResourceRef,
      what: string,
      transform: (object: T) => T,
      put: (object: T) => void,
      remove: (object: T) => void,
    ) => {
      const onError = (err: unknown) => log.warn({ err }, `the ${what} cannot be watched; trying again`);
      const reflector = new Reflector<T>(client, { resource, transform, clock, onError });
      reflector.subscribe(({ type, object }) => (type === "upsert" ? put(object) : remove(object)));
      return reflector;
    };
    this.#reflectors = [
      watch<FunctionObject>(
        Resources.function,
        "functions",
        trimFunction,
        (object) => registry.put(object),
        (object) => registry.remove(object),
      ),
      watch<Version>(
        Resources.version,
        "versions",
        trimVersion,
        (object) => registry.putVersion(object),
        (object) => registry.removeVersion(object),
      ),
      watch<Alias>(
        Resources.alias,
        "aliases",
        trimAlias,
        (object) => registry.putAlias(object),
        (object) => registry.removeAlias(object),
      ),
    ];
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start();
  }

  /** Resolves when all have been listed once. */
  async synced(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.synced()));
  }

  get hasSynced(): boolean {
    return this.#reflectors.every(({ hasSynced }) => hasSynced);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.stop()));
  }
}
