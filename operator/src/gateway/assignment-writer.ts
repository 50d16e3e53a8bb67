import type { KubeClient } from "../kube/client.ts";
import { type Clock, sleep } from "../kube/clock.ts";
import { KubeError } from "../kube/errors.ts";
import { Resources } from "../kube/objects.ts";
import { assignmentPatch, type EnvironmentSettings, initializedPatch, resizePatch } from "../resources/environment-pod.ts";
import { INITIALIZED_CONDITION } from "../resources/labels.ts";
import type { Logger } from "../telemetry/log.ts";
import type { EnvironmentIdentity, InitFailure } from "./environment.ts";
import type { FunctionEntry, Runnable } from "./function-entry.ts";
import type { Pod } from "./pod.ts";

/**
 * The first event has the whole machine to itself for so long: what is written is for later gateways and for the node, and the work that
 * it makes would show in the cold start.
 */
const AFTER_START_MS = 100;
const RETRY_MS = 250;
const MAX_RETRY_MS = 15_000;

export interface AssignmentWriterOptions {
  client: Pick<KubeClient, "get" | "mergePatch" | "strategicPatch">;
  clock: Clock;
  log: Logger;
  settings: Pick<EnvironmentSettings, "overcommit" | "agentAllowance">;
}

/** Writes to pods what has become of the environments in them. Nobody waits for it, and it is tried until it is written or the pod is gone. */
export class AssignmentWriter {
  readonly #options: AssignmentWriterOptions;
  readonly #stopping = new AbortController();

  constructor(options: AssignmentWriterOptions) {
    this.#options = options;
  }

  /** Gives up what is still being tried. */
  stop(): void {
    this.#stopping.abort();
  }

  /**
   * A pooled environment has become a function's: its pod says so, and gets that one's size.
   * @param refused the API server does not allow the size, and why
   */
  async assigned(identity: EnvironmentIdentity, fn: FunctionEntry, runnable: Runnable, refused: (why: string) => void): Promise<void> {
    const { client, clock, settings } = this.#options;
    const { namespace, podName: name, podUid } = identity;
    await sleep(clock, AFTER_START_MS, this.#stopping.signal);
    const resize = resizePatch(runnable.effective.memorySize, settings);
    await this.#try(
      identity,
      "its pod could not be given its function's size",
      async (signal) => {
        await client.strategicPatch<Pod>(Resources.pod, { namespace, name, subresource: "resize" }, resize, { signal });
      },
      refused,
    );
    // Last: a later owner of the function takes a pod that says what it was assigned for one of which nothing is left to write.
    await this.#try(identity, "its assignment could not be written to its pod", async (signal) => {
      await client.mergePatch<Pod>(Resources.pod, { namespace, name }, assignmentPatch(podUid, fn, runnable), { signal });
    });
  }

  /** An environment of provisioned concurrency can take events now, or will not. What its pod says already is not written again. */
  async initialized(identity: EnvironmentIdentity, failure: InitFailure | undefined): Promise<void> {
    const { client, clock } = this.#options;
    const { namespace, podName: name, podUid } = identity;
    const at = new Date(clock.now()).toISOString();
    const is = failure
      ? ({ status: "False", ...failure, at } as const)
      : ({ status: "True", reason: "Initialized", message: "It takes events.", at } as const);
    await this.#try(identity, "whether it has initialised could not be written to its pod", async (signal) => {
      // Looked up, since a gateway keeps too little of its pods to know what a former owner of the function has written.
      const pod = await client.get<Pod>(Resources.pod, { namespace, name }, { signal });
      const said = pod?.status?.conditions?.find(({ type }) => type === INITIALIZED_CONDITION);
      if (pod?.metadata.uid !== podUid || said?.status === is.status) return;
      await client.strategicPatch<Pod>(Resources.pod, { namespace, name, subresource: "status" }, initializedPatch(is), { signal });
    });
  }

  async #try(
    { namespace, podName, podUid }: EnvironmentIdentity,
    problem: string,
    write: (signal: AbortSignal) => Promise<void>,
    refused?: (why: string) => void,
  ): Promise<void> {
    const { clock, log } = this.#options;
    const { signal } = this.#stopping;
    for (let wait = RETRY_MS; !signal.aborted; wait = Math.min(wait * 2, MAX_RETRY_MS)) {
      try {
        await write(signal);
        return;
      } catch (err) {
        if (signal.aborted || (err instanceof KubeError && (err.notFound || isOtherPod(err, podUid)))) return;
        const retryable = err instanceof KubeError && err.retryable;
        log.warn({ err, pod: `${namespace}/${podName}`, retryable }, problem);
        if (!retryable) {
          refused?.(err instanceof Error ? err.message : String(err));
          return;
        }
        await sleep(clock, wait, signal);
      }
    }
  }
}

/** A patch that names another UID than the object's is a conflict that says so, and no time mends it. */
function isOtherPod(error: KubeError, podUid: string): boolean {
  return error.conflict && error.message.includes(podUid);
}
