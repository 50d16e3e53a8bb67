import type { PoolKey } from "../domain/pool-key.ts";
import type { KubeClient } from "../kube/client.ts";
import { type Clock, sleep } from "../kube/clock.ts";
import { KubeError } from "../kube/errors.ts";
import { Resources } from "../kube/objects.ts";
import {
  type EnvironmentSettings,
  environmentPod,
  type PoolPodInput,
  type PoolPodSize,
  poolHash,
  poolPod,
} from "../resources/environment-pod.ts";
import { Annotation, PUBLIC_PLACEMENT } from "../resources/labels.ts";
import type { Logger } from "../telemetry/log.ts";
import type { EnvironmentIdentity } from "./environment.ts";
import type { FunctionEntry, Runnable } from "./function-registry.ts";
import type { Pod } from "./pod.ts";
import type { Random } from "./random.ts";

/** Random part of a pod's name, hexadecimal digits. */
const SUFFIX_LENGTH = 8;
const CREATE_ATTEMPTS = 3;
const RETRY_MS = 250;
const MAX_RETRY_MS = 15_000;

export interface PodWriterOptions {
  client: Pick<KubeClient, "create" | "delete" | "get">;
  clock: Clock;
  random: Random;
  log: Logger;
  images: Readonly<Record<string, string>>;
  settings: EnvironmentSettings;
  /** `host:port` of the gateways that an agent of this function should dial. */
  gatewaysFor(functionKey: string): string[];
}

/** Makes and deletes the pods of environments. */
export class PodWriter {
  readonly #options: PodWriterOptions;
  readonly #stopping = new AbortController();
  readonly #deleting = new Map<string, { now: boolean }>();

  constructor(options: PodWriterOptions) {
    this.#options = options;
  }

  /** Gives up what is still being tried. */
  stop(): void {
    this.#stopping.abort();
  }

  /**
   * Makes a pod for a function.
   * @throws KubeError when the API server refuses or stays away; KappaError K114 when no image has the runtime
   */
  async create(entry: FunctionEntry, runnable: Runnable, avoidNodes: readonly string[]): Promise<EnvironmentIdentity> {
    const { random, images, settings, gatewaysFor } = this.#options;
    const pod = environmentPod({
      function: { uid: entry.uid, name: entry.name, namespace: entry.namespace },
      suffix: random.hex(SUFFIX_LENGTH),
      effective: runnable.effective,
      version: runnable.version,
      assignmentId: runnable.assignmentId,
      images,
      placement: PUBLIC_PLACEMENT,
      settings,
      gatewayAddresses: gatewaysFor(entry.key),
      avoidNodes,
    });
    return this.#make(pod, Annotation.assignment);
  }

  /**
   * Makes a pod for a pool.
   * @param of what differs from pool to pool; `suffix` makes its name
   * @throws as `create`
   */
  async createPooled(
    of: Pick<PoolPodInput, "pool" | "suffix" | "size" | "madeBy" | "gatewayAddresses" | "avoidNodes">,
  ): Promise<EnvironmentIdentity> {
    const { images, settings } = this.#options;
    return this.#make(poolPod({ ...of, images, settings }), Annotation.pool);
  }

  /** What the pods of a pool are made from now, as a hash; absent when no image has the runtime. */
  poolHash(pool: PoolKey, size: PoolPodSize): string | undefined {
    const { images, settings } = this.#options;
    return Object.hasOwn(images, pool.runtime) ? poolHash({ pool, size, images, settings }) : undefined;
  }

  /** @param mark the annotation by which a pod of this name is known to be this one */
  async #make(pod: Pick<Pod, "apiVersion" | "kind" | "metadata">, mark: string): Promise<EnvironmentIdentity> {
    const { client, clock } = this.#options;
    const { namespace, name, annotations } = pod.metadata;
    for (let attempt = 1; ; attempt++) {
      try {
        return identityOf(await client.create<Pod>(Resources.pod, pod));
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        if (error.alreadyExists) {
          // An attempt whose answer was lost had succeeded: the name is ours alone.
          const existing = await client.get<Pod>(Resources.pod, { namespace, name });
          if (existing && existing.metadata.annotations?.[mark] === annotations?.[mark]) return identityOf(existing);
          throw error;
        }
        if (!error.retryable || attempt === CREATE_ATTEMPTS) throw error;
        await sleep(clock, RETRY_MS * attempt, this.#stopping.signal);
      }
    }
  }

  /**
   * Deletes a pod, trying until it is gone.
   * @param graceSeconds absent: the pod's own, which lets a running event end; 0 does not wait for the node, which may be dead
   */
  remove(identity: EnvironmentIdentity, graceSeconds: number | undefined): void {
    const key = identity.podUid;
    const now = graceSeconds !== undefined;
    const pending = this.#deleting.get(key);
    if (pending && (pending.now || !now)) return;
    const attempt = { now };
    this.#deleting.set(key, attempt);
    void this.#remove(identity, graceSeconds).finally(() => {
      if (this.#deleting.get(key) === attempt) this.#deleting.delete(key);
    });
  }

  async #remove({ namespace, podName, podUid }: EnvironmentIdentity, graceSeconds: number | undefined): Promise<void> {
    const { client, clock, log } = this.#options;
    for (let wait = RETRY_MS; !this.#stopping.signal.aborted; wait = Math.min(wait * 2, MAX_RETRY_MS)) {
      try {
        await client.delete(Resources.pod, {
          namespace,
          name: podName,
          uid: podUid,
          ...(graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }),
        });
        return;
      } catch (err) {
        const retryable = err instanceof KubeError && err.retryable;
        log.warn({ err, pod: `${namespace}/${podName}`, retryable }, "an environment's pod could not be deleted");
        if (!retryable) return;
        await sleep(clock, wait, this.#stopping.signal);
      }
    }
  }
}

function identityOf({ metadata }: Pod): EnvironmentIdentity {
  return { namespace: metadata.namespace ?? "", podName: metadata.name, podUid: metadata.uid ?? "" };
}
