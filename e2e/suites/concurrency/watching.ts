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
      for (const { metadata } of found) logs.follow(metadata.name);
      most = Math.max(most, found.filter(isAlive).length);
      return most;
    };
    const looking = (async () => {
      for (; !stopped; await sleep(LOOK_MS)) await look();
    })();
    // It fails where it is waited for.
    looking.catch(() => {});
    try {
      const result = await use({ most: look, executions: () => [...logs.texts()].flatMap(executionsIn) });
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
  readonly #stop = new AbortController();

  constructor(pods: string) {
    this.#pods = pods;
  }

  texts(): Iterable<string> {
    return this.#textOf.values();
  }

  /** Takes in all that a pod's log has and will have. What cannot be read, as of one that has not started, is tried at the next look. */
  follow(pod: string): void {
    if (this.#followed.has(pod)) return;
    this.#followed.add(pod);
    this.#read(pod).catch(() => this.#followed.delete(pod));
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
      this.#textOf.set(pod, all);
    }
  }
}
