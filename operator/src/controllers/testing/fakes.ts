/** A cluster in memory for unit tests of controllers: caches that a test feeds, and writes that a test lets fail. */
import { KubeError, type KubeObject, type ObjectRef, objectKey, type ResourceRef, systemClock } from "../../kube/index.ts";
import { createControllerMetrics } from "../../telemetry/controller-metrics.ts";
import type { Cache, ControllerContext } from "../context.ts";

/** A cache whose content the test decides. */
export class FakeCache<T extends KubeObject> implements Cache<T> {
  #objects = new Map<string, T>();
  #subscribers = new Set<(event: { type: "upsert" | "delete"; object: T; old?: T }) => void>();

  constructor(...objects: T[]) {
    for (const object of objects) this.#objects.set(objectKey(object.metadata), object);
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(objectKey({ namespace, name }));
  }

  list(): T[] {
    return [...this.#objects.values()];
  }

  subscribe(callback: (event: { type: "upsert" | "delete"; object: T; old?: T }) => void): () => void {
    this.#subscribers.add(callback);
    for (const object of this.#objects.values()) callback({ type: "upsert", object });
    return () => this.#subscribers.delete(callback);
  }

  /** The watch brings an object. */
  put(object: T): void {
    const key = objectKey(object.metadata);
    const old = this.#objects.get(key);
    this.#objects.set(key, object);
    for (const tell of this.#subscribers) tell(old ? { type: "upsert", object, old } : { type: "upsert", object });
  }

  /** The watch tells that an object is gone. */
  remove(namespace: string | undefined, name: string): void {
    const object = this.get(namespace, name);
    if (!object) return;
    this.#objects.delete(objectKey({ namespace, name }));
    for (const tell of this.#subscribers) tell({ type: "delete", object });
  }
}

/** A write that was asked for. */
export interface Write {
  verb: "apply" | "delete" | "create" | "patch";
  kind: string;
  name: string;
  object?: KubeObject;
}

/** The parts of a controller's context that tests look at. */
export interface FakeContext {
  context: ControllerContext;
  writes: Write[];
  /** Errors that the next writes fail with, in turn. */
  failures: Error[];
  events: string[];
  /** Decides by its number, from 0, whether a write fails. */
  failWrite: (decide: (index: number) => Error | undefined) => void;
  /** What became of a successful apply, creation or patch: the object as the API server would answer. */
  onApply: (object: KubeObject) => KubeObject;
  /** What the API server has under a kind and name, for those who ask it and not their cache. */
  onGet: (kind: string, ref: { namespace?: string | undefined; name: string }) => KubeObject | undefined;
}

export function fakeContext(): FakeContext {
  const writes: Write[] = [];
  const failures: Error[] = [];
  const events: string[] = [];
  let decide = (_: number): Error | undefined => failures.shift();
  const attempt = (write: Write): void => {
    writes.push(write);
    const failure = decide(writes.length - 1);
    if (failure) throw failure;
  };
  const fake: FakeContext = {
    writes,
    failures,
    events,
    failWrite(by) {
      decide = by;
    },
    onApply: (object) => object,
    onGet: () => undefined,
    context: {
      client: {
        async get<T extends KubeObject>(resource: ResourceRef, ref: ObjectRef): Promise<T | undefined> {
          return fake.onGet(resource.kind, ref) as T | undefined;
        },
        async create<T extends KubeObject>(_: unknown, object: T): Promise<T> {
          attempt({ verb: "create", kind: object.kind, name: object.metadata.name, object });
          return fake.onApply(object) as T;
        },
        async mergePatch<T extends KubeObject>(
          { apiVersion, kind }: ResourceRef,
          { namespace, name }: ObjectRef,
          patch: object,
        ): Promise<T> {
          const { metadata = {}, ...rest } = patch as { metadata?: object };
          const object = { apiVersion, kind, metadata: { ...metadata, name, ...(namespace === undefined ? {} : { namespace }) }, ...rest };
          attempt({ verb: "patch", kind, name, object });
          return fake.onApply(object) as T;
        },
        async apply<T extends KubeObject>(_: unknown, object: T): Promise<T> {
          attempt({ verb: "apply", kind: object.kind, name: object.metadata.name, object });
          return fake.onApply(object) as T;
        },
        async delete(resource, { name }) {
          attempt({ verb: "delete", kind: resource.kind, name });
          return true;
        },
      },
      events: { record: ({ reason }) => events.push(reason) },
      metrics: createControllerMetrics(),
      clock: systemClock,
      log: { debug() {}, info() {}, warn() {}, error() {} },
    },
  };
  return fake;
}

export const conflict = (): KubeError => new KubeError("somebody else wrote", { status: 409, reason: "Conflict" });
export const notFound = (): KubeError => new KubeError("gone", { status: 404, reason: "NotFound" });
export const unreachable = (): KubeError => new KubeError("connection refused", { status: 0, reason: "ECONNREFUSED" });
export const forbidden = (): KubeError => new KubeError("no right", { status: 403, reason: "Forbidden" });
