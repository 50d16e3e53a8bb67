/** Looks at a function's environments as long as something goes on. */
import { setTimeout as sleep } from "node:timers/promises";
import { environmentPods, type Pod } from "../support/cluster.ts";
import { withApiServer } from "../support/port-forward.ts";
import { type Execution, executionsIn } from "./executions.ts";

const LOOK_MS = 300;

export interface Watched {
  /** Most environments at once, up to now. */
  most(): Promise<number>;
  /** What ran by the logs of all pods that were seen, those that are gone as well. */
  executions(): Execution[];
}

const isAlive = ({ metadata, status }: Pod) => metadata.deletionTimestamp === undefined && status.phase !== "Failed";

/** How many environments a function has now: pods that were made for it or given to it, and are not on their way out. */
export const alive = async (name: string): Promise<number> => (await environmentPods(name)).filter(isAlive).length;

/** Looks while `use` runs how many environments a function has, and follows their logs. */
export async function watching<T>(name: string, use: (watched: Watched) => Promise<T>): Promise<T> {
  return await withApiServer(async (local) => {
    const logs = new FollowedLogs(`http://127.0.0.1:${local}/api/v1/namespaces/default/pods`);
    let most = 0;
    let stopped = false;
    const look = async () => {
      const found = await environmentPods(name);
      logs.follow(found.map(({ metadata }) => metadata.name));
      most = Math.max(most, found.filter(isAlive).length);
      return most;
    };
    const looking = (async () => {
      for (; !stopped; await sleep(LOOK_MS)) await look();
    })();
    // It fails where it is waited for.
    looking.catch(() => {});
    try {
      const result = await use({ most: look, executions: () => logs.executions() });
      stopped = true;
      await looking;
      return result;
    } finally {
      stopped = true;
      logs.stop();
    }
  });
}

class FollowedLogs {
  readonly #pods: string;
  readonly #textOf = new Map<string, string>();
  readonly #followed = new Set<string>();
  /** When it was seen that a pod is gone, epoch seconds. */
  readonly #goneAt = new Map<string, number>();
  readonly #stop = new AbortController();

  /** @param pods URL of all pods */
  constructor(pods: string) {
    this.#pods = pods;
  }

  /** What did not end in a pod that is gone ended with it. */
  executions(): Execution[] {
    return [...this.#textOf].flatMap(([pod, text]) =>
      executionsIn(text).map((one) => ({ ...one, end: Math.min(one.end, this.#goneAt.get(pod) ?? Number.POSITIVE_INFINITY) })),
    );
  }

  /** @param pods all that there are now. A log that cannot be read, as of one that has not started, or that ends is tried again at the next look */
  follow(pods: readonly string[]): void {
    for (const pod of this.#textOf.keys()) if (!pods.includes(pod) && !this.#goneAt.has(pod)) this.#goneAt.set(pod, Date.now() / 1_000);
    for (const pod of pods) {
      if (this.#followed.has(pod)) continue;
      this.#followed.add(pod);
      this.#read(pod)
        .catch(() => {})
        .finally(() => this.#followed.delete(pod));
    }
  }

  stop(): void {
    this.#stop.abort();
  }

  async #read(pod: string): Promise<void> {
    const response = await fetch(`${this.#pods}/${pod}/log?follow=true`, { signal: this.#stop.signal });
    if (!response.ok || response.body === null) throw new Error(`log of ${pod}: ${response.status} ${await response.text()}`);
    let all = "";
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      all += text;
      if (all.length >= (this.#textOf.get(pod)?.length ?? 0)) this.#textOf.set(pod, all);
    }
  }
}
