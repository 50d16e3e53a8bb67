import { type Clock, systemClock } from "./clock.ts";
import { type InClusterOptions, inClusterSource, kubeconfigSource } from "./credential-sources.ts";
import type { CredentialSource } from "./credentials.ts";
import { KubeError, NO_ANSWER } from "./errors.ts";
import { type KubeObject, type ObjectRef, type ResourceRef, resourcePath } from "./objects.ts";
import { Transport, type TransportRequest } from "./transport.ts";
import { type WatchEvent, watchEvents } from "./watch.ts";

/** One request as the metrics see it. */
export interface RequestSample {
  verb: "get" | "list" | "watch" | "create" | "update" | "apply" | "delete" | "post";
  /** Plural of the resource, or the first two segments of a raw path. Bounded. */
  resource: string;
  /** HTTP status; 0 when no answer came. */
  status: number;
  /** Until the answer was complete; of a watch: until it was open. */
  seconds: number;
}

export interface KubeClientOptions {
  /** Told of every request. Must not throw. */
  onRequest?: ((sample: RequestSample) => void) | undefined;
  /** Milliseconds for one call (one page of a list). Default 15,000. */
  timeoutMs?: number | undefined;
  /** Connections kept for calls; each watch has one besides. Default 4. */
  connections?: number | undefined;
  /** How this process names itself in the API server's audit log. Default `kappa`. */
  userAgent?: string | undefined;
  clock?: Clock | undefined;
}

export interface CallOptions {
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface ListOptions {
  /** Without it: all namespaces. */
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  /** The API server sends nothing but metadata, as PartialObjectMetadata: for kinds whose content is large and not looked at. */
  metadataOnly?: boolean | undefined;
}

export interface ApplyOptions extends CallOptions {
  fieldManager: string;
  subresource?: "status";
}

export interface DeleteOptions extends CallOptions {
  /** Delete only this incarnation: an object made anew under the same name is left alone. */
  uid?: string | undefined;
  gracePeriodSeconds?: number | undefined;
  propagationPolicy?: "Background" | "Foreground" | "Orphan" | undefined;
}

export interface WatchOptions extends ListOptions {
  resourceVersion: string;
  /** After this the API server ends the watch in an orderly way. */
  timeoutSeconds: number;
  /** Milliseconds without any byte after which the connection counts as dead. */
  idleTimeoutMs: number;
  signal: AbortSignal;
}

type Call = Omit<TransportRequest, "timeoutMs"> & CallOptions;

/** One page of a list, checked at the edge: everything else relies on it. */
interface Page<T> {
  items: T[];
  resourceVersion: string;
  continueToken: string | undefined;
}

const DEFAULT_TIMEOUT_MS = 15_000;
const DEFAULT_CONNECTIONS = 4;
/** client-go's pager: large enough to be few requests, small enough that no answer is huge. */
const PAGE_SIZE = 500;

/** Typed access to the Kubernetes API over kept connections. Every call ends in bounded time and throws {@link KubeError}. */
export class KubeClient {
  #transport: Transport;
  #onRequest: (sample: RequestSample) => void;
  #timeoutMs: number;
  #clock: Clock;

  private constructor(source: CredentialSource, options: KubeClientOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#onRequest = options.onRequest ?? (() => {});
    this.#transport = new Transport({
      source,
      connections: options.connections ?? DEFAULT_CONNECTIONS,
      userAgent: options.userAgent ?? "kappa",
      clock: this.#clock,
    });
  }

  /** The pod's own ServiceAccount; the token is followed as the kubelet replaces it. */
  static inCluster(options: KubeClientOptions & InClusterOptions = {}): KubeClient {
    return new KubeClient(inClusterSource(options), options);
  }

  /** The current context of a kubeconfig, given by path or as text. */
  static fromKubeconfig(pathOrYaml: string, options: KubeClientOptions = {}): KubeClient {
    return new KubeClient(kubeconfigSource(pathOrYaml), options);
  }

  /** One object, or undefined when it does not exist. */
  async get<T extends KubeObject>(resource: ResourceRef, ref: ObjectRef, options: CallOptions = {}): Promise<T | undefined> {
    return notFoundAs(undefined, this.#json<T>("get", resource.plural, { method: "GET", path: resourcePath(resource, ref), ...options }));
  }

  /** All objects of a collection, read page by page at one resource version. */
  async list<T extends KubeObject>(
    resource: ResourceRef,
    options: ListOptions & CallOptions = {},
  ): Promise<{ items: T[]; resourceVersion: string }> {
    const items: T[] = [];
    const resourceVersion = await this.listEach<T>(
      resource,
      options,
      (item) => items.push(item),
      () => (items.length = 0),
    );
    return { items, resourceVersion };
  }

  /**
   * Like {@link KubeClient.list}, but hands over each object as its page arrives, so that a caller who keeps less than he gets never holds all.
   * `restart` is called when the snapshot expired between two pages and everything comes again.
   * @returns the resource version of the list
   */
  async listEach<T extends KubeObject>(
    resource: ResourceRef,
    options: ListOptions & CallOptions,
    each: (item: T) => void,
    restart: () => void,
  ): Promise<string> {
    let continueToken: string | undefined;
    let limit: number | undefined = PAGE_SIZE;
    for (;;) {
      let page: Page<T>;
      try {
        page = await this.#page<T>(resource, options, limit, continueToken);
      } catch (error) {
        if (!(error instanceof KubeError && error.gone && continueToken !== undefined)) throw error;
        // The snapshot was compacted while we read. A list in one piece cannot expire.
        restart();
        continueToken = undefined;
        limit = undefined;
        continue;
      }
      for (const item of page.items) each(item);
      continueToken = page.continueToken;
      if (continueToken === undefined) return page.resourceVersion;
    }
  }

  /** Creates an object. @throws KubeError with `alreadyExists` when it is there */
  async create<T extends KubeObject>(resource: ResourceRef, object: T, options: CallOptions = {}): Promise<T> {
    return this.#json<T>("create", resource.plural, {
      method: "POST",
      path: resourcePath(resource, { namespace: object.metadata.namespace }),
      body: JSON.stringify(object),
      ...options,
    });
  }

  /** Replaces an object. With `metadata.resourceVersion` only if nobody wrote since. @throws KubeError with `conflict` */
  async update<T extends KubeObject>(resource: ResourceRef, object: T, options: CallOptions & { subresource?: "status" } = {}): Promise<T> {
    const { subresource, ...call } = options;
    return this.#json<T>("update", resource.plural, {
      method: "PUT",
      path: resourcePath(resource, { ...object.metadata, ...(subresource ? { subresource } : {}) }),
      body: JSON.stringify(object),
      ...call,
    });
  }

  /**
   * Server-side apply with force: `object` is the whole intent of its field manager. What the manager applied before and leaves out
   * now is removed; what others own stays.
   */
  async apply<T extends KubeObject>(resource: ResourceRef, object: T, options: ApplyOptions): Promise<T> {
    const { fieldManager, subresource, ...call } = options;
    const query = new URLSearchParams({ fieldManager, force: "true" });
    return this.#json<T>("apply", resource.plural, {
      method: "PATCH",
      path: `${resourcePath(resource, { ...object.metadata, ...(subresource ? { subresource } : {}) })}?${query}`,
      body: JSON.stringify(object),
      // JSON is YAML; the media type is what selects server-side apply.
      contentType: "application/apply-patch+yaml",
      ...call,
    });
  }

  /** JSON merge patch, for the few writes that are not an intent of ours: finalizers, the series of an Event. */
  async mergePatch<T extends KubeObject>(
    resource: ResourceRef,
    ref: ObjectRef,
    patch: object,
    options: CallOptions & { subresource?: "status" } = {},
  ): Promise<T> {
    const { subresource, ...call } = options;
    return this.#json<T>("apply", resource.plural, {
      method: "PATCH",
      path: resourcePath(resource, { ...ref, ...(subresource ? { subresource } : {}) }),
      body: JSON.stringify(patch),
      contentType: "application/merge-patch+json",
      ...call,
    });
  }

  /** Strategic merge patch of a subresource: of lists that have keys, such as conditions and containers, it changes the named items only. */
  async strategicPatch<T extends KubeObject>(
    resource: ResourceRef,
    ref: ObjectRef & { subresource: "status" | "resize" },
    patch: object,
    options: CallOptions = {},
  ): Promise<T> {
    return this.#json<T>("apply", resource.plural, {
      method: "PATCH",
      path: resourcePath(resource, ref),
      body: JSON.stringify(patch),
      contentType: "application/strategic-merge-patch+json",
      ...options,
    });
  }

  /** Deletes an object. @returns false if it was already gone, or is another incarnation than `uid` */
  async delete(resource: ResourceRef, ref: ObjectRef & DeleteOptions): Promise<boolean> {
    const { namespace, name, uid, gracePeriodSeconds, propagationPolicy, ...call } = ref;
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      propagationPolicy: propagationPolicy ?? "Background",
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      ...(uid === undefined ? {} : { preconditions: { uid } }),
    };
    try {
      await this.#json("delete", resource.plural, {
        method: "DELETE",
        path: resourcePath(resource, { namespace, name }),
        body: JSON.stringify(body),
        ...call,
      });
      return true;
    } catch (error) {
      // A failed precondition is a conflict whose message names the two UIDs.
      if (error instanceof KubeError && (error.notFound || (uid !== undefined && error.conflict && error.message.includes(uid))))
        return false;
      throw error;
    }
  }

  /** GET of any path, such as `/openid/v1/jwks`. */
  async getRaw<T>(path: string, options: CallOptions = {}): Promise<T> {
    return this.#json<T>("get", rawResource(path), { method: "GET", path, ...options });
  }

  /** POST to any path: SubjectAccessReview, TokenReview, TokenRequest. */
  async post<T>(path: string, body: unknown, options: CallOptions = {}): Promise<T> {
    return this.#json<T>("post", rawResource(path), { method: "POST", path, body: JSON.stringify(body), ...options });
  }

  /** PEM of the authority that the API server's certificate is checked with; empty when it is one of the machine's own. */
  async certificateAuthority(): Promise<string> {
    return this.#transport.certificateAuthority();
  }

  /** The changes of a collection after a resource version, until the API server ends the watch. @throws KubeError */
  async *watch<T extends KubeObject>(resource: ResourceRef, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const query = selectors(options);
    query.set("watch", "true");
    query.set("allowWatchBookmarks", "true");
    query.set("resourceVersion", options.resourceVersion);
    query.set("timeoutSeconds", String(options.timeoutSeconds));
    const path = `${resourcePath(resource, { namespace: options.namespace })}?${query}`;
    const body = await this.#measured(
      "watch",
      resource.plural,
      () =>
        this.#transport.stream({ method: "GET", path, accept: accepted(options, ""), timeoutMs: this.#timeoutMs, signal: options.signal }),
      () => 200,
    );
    yield* watchEvents<T>(body, {
      idleTimeoutMs: options.idleTimeoutMs,
      signal: options.signal,
      what: resource.plural,
      clock: this.#clock,
    });
  }

  /** Ends all connections; calls under way fail. */
  async close(): Promise<void> {
    await this.#transport.close();
  }

  async #page<T extends KubeObject>(
    resource: ResourceRef,
    options: ListOptions & CallOptions,
    limit: number | undefined,
    continueToken: string | undefined,
  ): Promise<Page<T>> {
    const query = selectors(options);
    if (limit !== undefined) query.set("limit", String(limit));
    if (continueToken !== undefined) query.set("continue", continueToken);
    const path = resourcePath(resource, { namespace: options.namespace });
    const answer = await this.#json<{ items?: T[] | null; metadata?: { resourceVersion?: string; continue?: string } }>(
      "list",
      resource.plural,
      {
        method: "GET",
        path: query.size > 0 ? `${path}?${query}` : path,
        accept: accepted(options, "List"),
        timeoutMs: options.timeoutMs,
        signal: options.signal,
      },
    );
    const items = answer.items ?? [];
    const resourceVersion = answer.metadata?.resourceVersion;
    if (!Array.isArray(items) || typeof resourceVersion !== "string")
      throw new KubeError(`GET ${path}: the answer is not a list`, { status: NO_ANSWER, reason: "BadAnswer" });
    // Items of a list carry no kind of their own: types.go, "ListMeta".
    for (const item of items) {
      item.apiVersion ??= resource.apiVersion;
      item.kind ??= resource.kind;
    }
    return { items, resourceVersion, continueToken: answer.metadata?.continue || undefined };
  }

  async #json<T>(verb: RequestSample["verb"], resource: string, request: Call): Promise<T> {
    const { text } = await this.#measured(
      verb,
      resource,
      () => this.#transport.call({ ...request, timeoutMs: request.timeoutMs ?? this.#timeoutMs }),
      (answer) => answer.status,
    );
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new KubeError(`${request.method} ${request.path}: the answer is not JSON`, { status: NO_ANSWER, reason: "BadAnswer" }, cause);
    }
  }

  async #measured<R>(verb: RequestSample["verb"], resource: string, send: () => Promise<R>, statusOf: (answer: R) => number): Promise<R> {
    const start = this.#clock.monotonic();
    const report = (status: number) => this.#onRequest({ verb, resource, status, seconds: (this.#clock.monotonic() - start) / 1000 });
    try {
      const result = await send();
      report(statusOf(result));
      return result;
    } catch (error) {
      report(error instanceof KubeError ? error.status : NO_ANSWER);
      throw error;
    }
  }
}

function selectors(options: ListOptions): URLSearchParams {
  const query = new URLSearchParams();
  if (options.labelSelector !== undefined) query.set("labelSelector", options.labelSelector);
  if (options.fieldSelector !== undefined) query.set("fieldSelector", options.fieldSelector);
  return query;
}

/** Kubernetes API concepts, "Metadata-only fetches": a watch asks for the kind of its objects, a list for the kind of the list. */
function accepted({ metadataOnly }: ListOptions, suffix: "" | "List"): string | undefined {
  return metadataOnly ? `application/json;as=PartialObjectMetadata${suffix};g=meta.k8s.io;v=v1` : undefined;
}

/** Last segment that names a kind of thing, never an object: `/apis/authorization.k8s.io/v1/subjectaccessreviews` → `subjectaccessreviews`. */
function rawResource(path: string): string {
  return /\/(token|[a-z]+reviews|jwks|openid-configuration|version|readyz|livez)(?:$|[/?])/.exec(path)?.[1] ?? "raw";
}

async function notFoundAs<T, U>(value: U, answer: Promise<T>): Promise<T | U> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof KubeError && error.notFound) return value;
    throw error;
  }
}
