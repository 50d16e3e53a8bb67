import { createHash } from "node:crypto";
import { publicKeyOf } from "../bus/nkeys.ts";
import { KappaError } from "../domain/errors.ts";
import { authConf } from "./auth-conf.ts";

/** Secrets that hold what was drawn at random once and is kept, with the keys in their data and what each key holds. */
export const CREDENTIALS = {
  "kappa-nats-controller": { seed: "seed", "user-seed": "seed" },
  "kappa-nats-gateway": { seed: "seed" },
  "kappa-nats-user-admin": { seed: "seed" },
  "kappa-peers": { secret: "secret" },
} as const satisfies Record<string, Record<string, "seed" | "secret">>;

/** The Secret that NATS includes; everything in it follows from the credentials. */
export const SERVER_SECRET = "kappa-nats-server";
export const AUTH_CONF = "auth.conf";

export type CredentialSecret = keyof typeof CREDENTIALS;

/** Data of a Secret, decoded. */
export type SecretData = Record<string, string>;

/** What was found: data of the Secrets that exist. */
export type Found = Partial<Record<CredentialSecret, SecretData>>;

/** Where new credentials come from. */
export interface Generate {
  /** A NATS user's seed. */
  seed(): string;
  /** A shared secret, at least 256 bits. */
  secret(): string;
}

export interface CredentialPlan {
  /** Secrets that do not exist: to be created, never to be overwritten. */
  create: Partial<Record<CredentialSecret, SecretData>>;
  /** Secrets that exist and lack a key (an older Kappa made them): their whole data with what was missing. */
  complete: Partial<Record<CredentialSecret, SecretData>>;
  /** Text of {@link AUTH_CONF}. */
  authConf: string;
  /** Changes when any credential changes; processes that hold others have to start anew. */
  revision: string;
}

/**
 * Decides which credentials are missing. What exists is kept; what cannot be used is refused rather than replaced, because
 * somebody put it there.
 * @throws KappaError K300 when a Secret holds something that is no seed or too short a secret
 */
export function planCredentials(found: Found, generate: Generate): CredentialPlan {
  const create: CredentialPlan["create"] = {};
  const complete: CredentialPlan["complete"] = {};
  const all: Record<string, SecretData> = {};
  for (const [name, keys] of Object.entries(CREDENTIALS) as [CredentialSecret, Record<string, "seed" | "secret">][]) {
    const existing = found[name];
    const data: SecretData = { ...existing };
    let missing = false;
    for (const [key, kind] of Object.entries(keys)) {
      const value = data[key];
      if (value === undefined) {
        data[key] = generate[kind]();
        missing = true;
      } else if (!isUsable(kind, value)) {
        throw new KappaError(
          "K300",
          `The Secret ${name} holds no usable ${kind === "seed" ? "NATS user seed" : "shared secret"} under '${key}'. Delete the Secret and run the upgrade again: a new one is made.`,
        );
      }
    }
    all[name] = data;
    if (existing === undefined) create[name] = data;
    else if (missing) complete[name] = data;
  }
  const publicKey = (name: CredentialSecret, key: string): string => {
    const value = publicKeyOf(all[name]?.[key] ?? "");
    if (value === undefined) throw new KappaError("K300", `The seed made for '${key}' of the Secret ${name} is no NATS user's.`);
    return value;
  };
  const text = authConf({
    controller: publicKey("kappa-nats-controller", "seed"),
    controllerInUser: publicKey("kappa-nats-controller", "user-seed"),
    gateway: publicKey("kappa-nats-gateway", "seed"),
    userAdmin: publicKey("kappa-nats-user-admin", "seed"),
  });
  return { create, complete, authConf: text, revision: revisionOf(text, all["kappa-peers"]?.secret ?? "") };
}

const isUsable = (kind: "seed" | "secret", value: string): boolean =>
  kind === "seed" ? publicKeyOf(value) !== undefined : value.length >= MIN_SECRET_LENGTH;

/** Characters: 256 bits in base64url. */
const MIN_SECRET_LENGTH = 43;

/** Public keys stand for their seeds; the secret goes in as a hash, so the revision tells nothing about it. */
function revisionOf(text: string, secret: string): string {
  return createHash("sha256").update(text).update("\0").update(createHash("sha256").update(secret).digest()).digest("hex").slice(0, 16);
}
