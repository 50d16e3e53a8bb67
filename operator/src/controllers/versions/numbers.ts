/**
 * Which numbers of versions were given, so that none is given twice: not to two that publish at once, not after the newest version
 * was deleted, and not to a function that was deleted and made again (docs/adr/0010-version-numbers.md).
 */
import { createHash } from "node:crypto";
import { KappaError } from "../../domain/errors.ts";
import { type KubeClient, KubeError, type KubeObject, Resources } from "../../kube/index.ts";
import { FieldManager, Label, MANAGED_BY } from "../../resources/labels.ts";
import { versionNumbersName } from "../../resources/names.ts";

/** ConfigMaps that an account's functions are spread over: one holds at most 1 MiB, and each write of one rewrites it in etcd. */
const SHARDS = 16;

/** Somebody else wrote the ConfigMap between reading and writing it: a former leader's last write. More often is no coincidence. */
const ATTEMPTS = 5;

/** What `spec.version` may be (crds/versions.yaml). */
const MAX_VERSION = 9_999_999_999;

interface NumbersObject extends KubeObject {
  data?: Record<string, string>;
}

/** One number that somebody waits for. */
interface Claim {
  functionName: string;
  /** What the function's last number becomes. */
  next: (last: number) => number;
  resolve: (number: number) => void;
  reject: (error: unknown) => void;
}

interface Shard {
  /** The ConfigMap as it was last seen; absent while that is not known. */
  known?: { resourceVersion: string; data: Record<string, string> };
  waiting: Claim[];
  busy: boolean;
}

/** The last number of every function, in ConfigMaps of its namespace. Compare-and-set: a number is whose write succeeded. */
export class VersionNumbers {
  #client: Pick<KubeClient, "get" | "apply" | "mergePatch">;
  #shards = new Map<string, Shard>();

  constructor(client: Pick<KubeClient, "get" | "apply" | "mergePatch">) {
    this.#client = client;
  }

  /**
   * The next number of a function, greater than every one it had and than `above`. It is written down before this returns: whoever
   * does not use it wastes it.
   * @throws KubeError when it cannot be written down, KappaError K301 when what is written there is no number
   */
  reserve(namespace: string, functionName: string, above: number): Promise<number> {
    return this.#claim(namespace, functionName, (last) => Math.max(last, above) + 1);
  }

  /** Notes that a function has had a number that was not reserved here: of a version that was restored. */
  async record(namespace: string, functionName: string, number: number): Promise<void> {
    await this.#claim(namespace, functionName, (last) => Math.max(last, number));
  }

  /** A namespace is gone, and what was kept in it: another one may come by its name. */
  forget(namespace: string): void {
    for (const [key, shard] of this.#shards) if (key.startsWith(`${namespace}/`)) delete shard.known;
  }

  #claim(namespace: string, functionName: string, next: (last: number) => number): Promise<number> {
    const name = versionNumbersName(shardOf(functionName));
    const key = `${namespace}/${name}`;
    const shard = this.#shards.get(key) ?? { waiting: [], busy: false };
    this.#shards.set(key, shard);
    return new Promise((resolve, reject) => {
      shard.waiting.push({ functionName, next, resolve, reject });
      if (!shard.busy) void this.#work(namespace, name, shard);
    });
  }

  /** Writes together what came while the last write was under way. */
  async #work(namespace: string, name: string, shard: Shard): Promise<void> {
    shard.busy = true;
    while (shard.waiting.length > 0) {
      const claims = shard.waiting.splice(0);
      try {
        for (const settled of await this.#settle(namespace, name, shard, claims)) settled();
      } catch (error) {
        delete shard.known;
        for (const claim of claims) claim.reject(error);
      }
    }
    shard.busy = false;
  }

  /** @returns what ends each claim, once what they need is written: one that has no number leaves the others theirs */
  async #settle(namespace: string, name: string, shard: Shard, claims: readonly Claim[]): Promise<(() => void)[]> {
    for (let attempt = 1; ; attempt++) {
      shard.known ??= await this.#read(namespace, name);
      const { resourceVersion, data } = shard.known;
      const changed = new Map<string, string>();
      const settled = claims.map(({ functionName, next, resolve, reject }) => {
        // A function may be called as a member that every object has.
        const text = changed.get(functionName) ?? (Object.hasOwn(data, functionName) ? data[functionName] : undefined);
        const where = `ConfigMap ${namespace}/${name}, key ${functionName}`;
        try {
          const last = numberOf(text, where);
          const number = next(last);
          if (number > MAX_VERSION) throw new KappaError("K301", `${where}: ${last} is the last number there is. Use another function`);
          if (number !== last) changed.set(functionName, String(number));
          return () => resolve(number);
        } catch (error) {
          return () => reject(error);
        }
      });
      if (changed.size === 0) return settled;
      try {
        // No server-side apply: the resource version makes this write happen upon what was read, or not at all.
        const patch = { metadata: { resourceVersion }, data: Object.fromEntries(changed) };
        shard.known = contentOf(await this.#client.mergePatch<NumbersObject>(Resources.configMap, { namespace, name }, patch));
        return settled;
      } catch (error) {
        delete shard.known;
        const changedMeanwhile = error instanceof KubeError && (error.conflict || error.notFound);
        if (!changedMeanwhile || attempt === ATTEMPTS) throw error;
      }
    }
  }

  async #read(namespace: string, name: string): Promise<NonNullable<Shard["known"]>> {
    const found = await this.#client.get<NumbersObject>(Resources.configMap, { namespace, name });
    if (found) {
      if (found.metadata.labels?.[Label.managedBy] !== MANAGED_BY)
        throw new KappaError("K301", `ConfigMap ${namespace}/${name} is not Kappa's, which keeps the numbers of versions in it: remove it`);
      return contentOf(found);
    }
    // Applied without data, it takes nothing away from one that somebody made since.
    const labels = { [Label.managedBy]: MANAGED_BY };
    const intent: NumbersObject = { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace, labels } };
    return contentOf(await this.#client.apply(Resources.configMap, intent, { fieldManager: FieldManager.versionNumbers }));
  }
}

function contentOf({ metadata, data }: NumbersObject): NonNullable<Shard["known"]> {
  return { resourceVersion: metadata.resourceVersion ?? "", data: data ?? {} };
}

/** @throws KappaError K301 for what Kappa has not written */
function numberOf(text: string | undefined, where: string): number {
  if (text === undefined) return 0;
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new KappaError("K301", `${where}: "${text}" is not the number of a version. Correct it`);
  return Number(text);
}

function shardOf(functionName: string): number {
  return createHash("sha256").update(functionName).digest().readUInt8(0) % SHARDS;
}
