/** The execution role's Kubernetes token, put where Kubernetes' clients look for it. */
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RoleToken } from "../../../operator/src/api/environment-protocol.ts";

/** Only the function's user reads it, which is the agent's too. */
const MODE = 0o400;

/** Files of one folder, each replaced at once: a client that reads while it is renewed sees the old or the new one, whole. */
export class RoleTokenFiles {
  readonly #folder: string;
  #last: Promise<void> = Promise.resolve();
  #count = 0;

  /** @param folder must exist and be writable */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Writes one after the other, in the order of the calls. Rejects when the folder cannot be written. */
  async write({ token, namespace, caCertificate }: RoleToken): Promise<void> {
    const before = this.#last;
    const done = (async () => {
      await before.catch(() => {});
      // The token last: when it is there, so is what it needs.
      await this.#replace("ca.crt", caCertificate);
      await this.#replace("namespace", namespace);
      await this.#replace("token", token);
    })();
    this.#last = done;
    await done;
  }

  async #replace(name: string, content: string): Promise<void> {
    const unfinished = join(this.#folder, `.${name}.${++this.#count}`);
    // The function shares the folder: whatever it put there under this name is neither written to nor followed.
    await rm(unfinished, { recursive: true, force: true });
    try {
      await writeFile(unfinished, content, { mode: MODE, flag: "wx" });
      await rename(unfinished, join(this.#folder, name));
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    }
  }
}
