import type { KubeObject } from "../kube/objects.ts";
import type { Logger } from "../telemetry/log.ts";
import { type Caller, serviceAccountCaller } from "./caller.ts";
import { SigningKeys } from "./signing-keys.ts";

/** A Secret of type `kappa.dev/access-key`, as the API server shows it. */
export interface AccessKeySecret extends KubeObject {
  type?: string;
  /** Base64: `accessKeyId`, `secretAccessKey`, `serviceAccountName`. */
  data?: Record<string, string>;
}

/** Members of a Secret that are read, and how long each may be, characters of base64: AWS's own are 128 at most. */
const MEMBERS = ["accessKeyId", "secretAccessKey", "serviceAccountName"] as const;
const MAX_VALUE = 1024;

/** What is kept of a Secret in memory: whoever may write one may put a megabyte into it, as often as he likes. */
export function trimAccessKey({ apiVersion, kind, metadata, type, data }: AccessKeySecret): AccessKeySecret {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata;
  const given = { namespace, uid, resourceVersion, creationTimestamp };
  const kept = MEMBERS.flatMap((member) => {
    const value = data?.[member];
    return value === undefined || value.length > MAX_VALUE ? [] : [[member, value]];
  });
  return {
    apiVersion,
    kind,
    metadata: { name, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) },
    ...(type === undefined ? {} : { type }),
    data: Object.fromEntries(kept),
  };
}

/** An access key that a caller may sign with. */
export class AccessKey {
  readonly accessKeyId: string;
  readonly caller: Caller;
  /** `namespace/name` of its Secret. */
  readonly source: string;
  /** Orders keys with one id: the API server's creation time, which no user can set, then the name. */
  readonly age: string;
  readonly keys: SigningKeys;

  constructor(of: { accessKeyId: string; secret: string; caller: Caller; source: string; age: string }) {
    this.accessKeyId = of.accessKeyId;
    this.caller = of.caller;
    this.source = of.source;
    this.age = of.age;
    this.keys = new SigningKeys(of.secret);
  }
}

/** The access keys of all accounts, kept current by {@link put} and {@link remove}. */
export class AccessKeys {
  /** Keys by id, the one that counts first. */
  readonly #byId = new Map<string, AccessKey[]>();
  readonly #bySource = new Map<string, AccessKey>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  get(accessKeyId: string): AccessKey | undefined {
    return this.#byId.get(accessKeyId)?.[0];
  }

  /** Takes a Secret as it is now. One that is not a usable key is logged and counts as absent. */
  put(secret: AccessKeySecret): void {
    this.remove(secret);
    const key = readAccessKey(secret);
    if (typeof key === "string") {
      this.#log.warn({ secret: sourceOf(secret), problem: key }, "a Secret of type kappa.dev/access-key is not a usable access key");
      return;
    }
    this.#bySource.set(key.source, key);
    const same = [...(this.#byId.get(key.accessKeyId) ?? []), key].sort((a, b) => (a.age < b.age ? -1 : 1));
    this.#byId.set(key.accessKeyId, same);
    const [used, ...ignored] = same;
    if (ignored.length > 0)
      this.#log.warn(
        { accessKeyId: key.accessKeyId, used: used?.source, ignored: ignored.map((k) => k.source) },
        "an access key id is in several Secrets; the oldest counts",
      );
  }

  remove(secret: AccessKeySecret): void {
    const key = this.#bySource.get(sourceOf(secret));
    if (!key) return;
    this.#bySource.delete(key.source);
    const left = (this.#byId.get(key.accessKeyId) ?? []).filter((k) => k !== key);
    if (left.length === 0) this.#byId.delete(key.accessKeyId);
    else this.#byId.set(key.accessKeyId, left);
  }
}

function sourceOf(secret: AccessKeySecret): string {
  return `${secret.metadata.namespace ?? ""}/${secret.metadata.name}`;
}

/** The key in a Secret, or why it is none. */
function readAccessKey(secret: AccessKeySecret): AccessKey | string {
  const value = (name: string) =>
    Buffer.from(secret.data?.[name] ?? "", "base64")
      .toString("utf8")
      .trim();
  const accessKeyId = value("accessKeyId");
  const secretAccessKey = value("secretAccessKey");
  const serviceAccountName = value("serviceAccountName");
  const namespace = secret.metadata.namespace ?? "";
  // AWS's own bounds (IAM API, AccessKeyId): a slash or an equals sign would break the Authorization header.
  if (!/^\w{16,128}$/.test(accessKeyId)) return "data.accessKeyId must be 16 to 128 letters, digits or underscores";
  if (secretAccessKey.length < 16) return "data.secretAccessKey must have at least 16 characters";
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(serviceAccountName)) return "data.serviceAccountName must be the name of a ServiceAccount";
  const source = sourceOf(secret);
  const age = `${secret.metadata.creationTimestamp ?? "9999"} ${source}`;
  return new AccessKey({ accessKeyId, secret: secretAccessKey, caller: serviceAccountCaller(namespace, serviceAccountName), source, age });
}
