/** The execution role's Kubernetes token, put where Kubernetes' clients look for it. */

import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KubernetesToken } from "../../../operator/src/api/environment-protocol.ts";
import { crypto } from "./builtins.ts";

/** Only the function's user reads it, which is the agent's too. */
const MODE = 0o400;

/** Files of one folder, each replaced at once: a client that reads while it is renewed sees the old or the new one, whole. */
export class RoleTokenFiles {
  readonly #folder: string;

  /** @param folder must exist and be writable */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Waits for the file system, which is in memory: during a cold start the way over the thread pool and back takes ten times as long.
   * @throws when the folder cannot be written
   */
  write({ token, namespace, caCertificate }: KubernetesToken): void {
    // The token last: when it is there, so is what it needs.
    this.#replace("ca.crt", caCertificate);
    this.#replace("namespace", namespace);
    this.#replace("token", token);
  }

  #replace(name: string, content: string): void {
    // The function shares the folder and cannot know this name: nothing that it put there is written to or followed.
    const unfinished = join(this.#folder, `.${name}.${crypto.randomUUID()}`);
    try {
      writeFileSync(unfinished, content, { mode: MODE, flag: "wx" });
      renameSync(unfinished, join(this.#folder, name));
    } catch (error) {
      rmSync(unfinished, { force: true });
      throw error;
    }
  }
}
