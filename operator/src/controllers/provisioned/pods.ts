import { createHash, randomBytes } from "node:crypto";
import type { Function as LambdaFunction, Version } from "../../api/types.generated.ts";
import { runnableId } from "../../domain/effective.ts";
import { type KubeClient, type KubeObject, Resources } from "../../kube/index.ts";
import { type EnvironmentSettings, environmentPod } from "../../resources/environment-pod.ts";
import { Annotation, PUBLIC_PLACEMENT } from "../../resources/labels.ts";
import type { Cache } from "../context.ts";
import type { PodObject } from "../pods/decide.ts";
import { podOf } from "./decide.ts";
import type { ProvisionedPod } from "./plan.ts";

/** Characters that make a pod's name unique. */
const SUFFIX_LENGTH = 10;

/** How long a pod that was made counts although no watch has brought it: then it was gone before it came, milliseconds. */
const UNSEEN_MS = 60_000;

export interface ProvisionedPodsDeps {
  client: Pick<KubeClient, "create" | "delete">;
  pods: Pick<Cache<PodObject>, "get">;
  clock: { now(): number };
  images: Readonly<Record<string, string>>;
  environment: EnvironmentSettings;
}

/** What a pod is made of. */
export interface PodSource {
  fn: LambdaFunction;
  version: Version;
  qualifier: string;
}

type Known = ProvisionedPod & { qualifier: string };

/** The pods of provisioned concurrency: makes them, deletes them, and knows of both before a watch tells of it. */
export class ProvisionedPods {
  #deps: ProvisionedPodsDeps;
  /** Made and not seen yet, by UID of the function and name. */
  #unseen = new Map<string, Map<string, { pod: Known; until: number }>>();
  /** UIDs of pods whose deletion was asked for. */
  #removed = new Set<string>();

  constructor(deps: ProvisionedPodsDeps) {
    this.#deps = deps;
  }

  /** A function's pods that are there to stay, from what the cache has of them. */
  of(fn: LambdaFunction, cached: readonly PodObject[]): Known[] {
    const { namespace, uid = "" } = fn.metadata;
    const unseen = this.#unseen.get(uid) ?? new Map();
    for (const [name, { until }] of unseen)
      if (this.#deps.pods.get(namespace, name) !== undefined || until < this.#deps.clock.now()) unseen.delete(name);
    if (unseen.size === 0) this.#unseen.delete(uid);
    const all = [...cached.flatMap((pod) => podOf(pod) ?? []), ...[...unseen.values()].map(({ pod }) => pod)];
    return all.filter((pod) => !this.#removed.has(pod.uid));
  }

  /** Hash of what the pods of a version are made from: images, settings, the version itself. */
  template(source: PodSource): string {
    return createHash("sha256")
      .update(JSON.stringify(this.#build(source, "")))
      .digest("hex")
      .slice(0, 16);
  }

  /** @throws KubeError when the API server refuses or stays away */
  async create(source: PodSource, template: string): Promise<void> {
    const pod = this.#build(source, randomBytes(SUFFIX_LENGTH).toString("hex").slice(0, SUFFIX_LENGTH));
    const annotated = {
      ...pod,
      metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, [Annotation.template]: template } },
    };
    const { metadata }: KubeObject = await this.#deps.client.create<KubeObject>(Resources.pod, annotated);
    const { uid = "" } = source.fn.metadata;
    const known: Known = { name: metadata.name, uid: metadata.uid ?? "", qualifier: source.qualifier, template, state: "starting" };
    const unseen = this.#unseen.get(uid) ?? new Map();
    this.#unseen.set(uid, unseen.set(metadata.name, { pod: known, until: this.#deps.clock.now() + UNSEEN_MS }));
  }

  /** Lets a pod end: its running event first. */
  async remove(namespace: string | undefined, { name, uid }: ProvisionedPod): Promise<void> {
    await this.#deps.client.delete(Resources.pod, { namespace, name, uid });
    this.#removed.add(uid);
  }

  /** A pod is gone. */
  forget({ metadata }: PodObject): void {
    this.#removed.delete(metadata.uid ?? "");
    this.#unseen.get(metadata.ownerReferences?.[0]?.uid ?? "")?.delete(metadata.name);
  }

  #build({ fn, version, qualifier }: PodSource, suffix: string) {
    const { name, namespace = "", uid = "" } = fn.metadata;
    const { effective } = version.status ?? {};
    if (effective === undefined) throw new TypeError(`version ${version.metadata.name} is not in force`);
    const number = String(version.spec.version);
    return environmentPod({
      function: { uid, name, namespace },
      suffix,
      effective,
      version: number,
      assignmentId: runnableId({ uid, version: number, effective }),
      images: this.#deps.images,
      placement: PUBLIC_PLACEMENT,
      settings: this.#deps.environment,
      provisioned: { qualifier },
    });
  }
}
