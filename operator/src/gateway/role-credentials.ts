/**
 * The credentials of execution roles, as AWS's STS gives them, without a store: the session token says what they stand for, sealed with
 * a key that only the gateways can derive, so any of them can check what another one issued. Pure but for the cipher.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import type { AwsCredentials } from "../api/environment-protocol.ts";

/** What credentials stand for. */
export interface RoleSession {
  namespace: string;
  /** The execution role. */
  serviceAccount: string;
  /** The environment that they were made for. */
  podName: string;
  podUid: string;
  /** Epoch milliseconds. */
  expiresAt: number;
}

/** AWS's prefix of the access key ids of temporary credentials (IAM user guide, Unique identifiers). */
const TEMPORARY = "ASIA";
/** Characters after the prefix, each of 5 bits. */
const KEY_ID_LENGTH = 16;
const KEY_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** Bytes of a secret access key, which is shown in base64: 40 characters, as AWS's. */
const SECRET_BYTES = 30;

const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
/** Bytes of a nonce. Random ones may seal 2^32 tokens before two are likely to meet (NIST SP 800-38D, 8.3). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** First byte of a token; another layout gets another one. */
const VERSION = 1;
const VERSION_BYTES = Buffer.of(VERSION);

/** Longest session token looked at, characters: two names of 253 and what is around them fit three times over. */
const MAX_TOKEN = 2048;

/** Makes and checks credentials of roles. Two with one secret accept each other's. */
export class RoleCredentials {
  readonly #seal: Buffer;
  readonly #derive: Buffer;

  /** @param secret known to the gateways alone */
  constructor(secret: string) {
    this.#seal = derivedKey(secret, "kappa role credentials: seal");
    this.#derive = derivedKey(secret, "kappa role credentials: access key");
  }

  /** @param nonce {@link NONCE_BYTES} random bytes in hexadecimal, never used before */
  issue(session: RoleSession, nonce: string): AwsCredentials {
    const iv = Buffer.from(nonce, "hex");
    if (iv.length !== NONCE_BYTES) throw new Error(`a nonce has ${NONCE_BYTES} bytes, this one has ${iv.length}`);
    const cipher = createCipheriv(CIPHER, this.#seal, iv).setAAD(VERSION_BYTES);
    const { namespace, serviceAccount, podName, podUid, expiresAt } = session;
    const text = JSON.stringify([namespace, serviceAccount, podName, podUid, expiresAt]);
    const sealed = Buffer.concat([VERSION_BYTES, iv, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
    return { ...this.#keyOf(sealed), sessionToken: sealed.toString("base64url") };
  }

  /**
   * What a session token stands for and the secret that belongs to it; undefined when no gateway made it, or not with this access key
   * id. Whether it has expired is the caller's to look at.
   */
  open(sessionToken: string, accessKeyId: string): { session: RoleSession; secretAccessKey: string } | undefined {
    if (sessionToken.length > MAX_TOKEN) return undefined;
    const sealed = Buffer.from(sessionToken, "base64url");
    // Decoding is lenient: each token has one way to be written, or callers could be remembered under as many as they like.
    if (sealed.toString("base64url") !== sessionToken) return undefined;
    if (sealed.length <= 1 + NONCE_BYTES + TAG_BYTES || sealed[0] !== VERSION) return undefined;
    const key = this.#keyOf(sealed);
    if (!sameText(key.accessKeyId, accessKeyId)) return undefined;
    const session = this.#unseal(sealed);
    return session && { session, secretAccessKey: key.secretAccessKey };
  }

  #unseal(sealed: Buffer): RoleSession | undefined {
    const end = sealed.length - TAG_BYTES;
    const decipher = createDecipheriv(CIPHER, this.#seal, sealed.subarray(1, 1 + NONCE_BYTES), { authTagLength: TAG_BYTES })
      .setAAD(VERSION_BYTES)
      .setAuthTag(sealed.subarray(end));
    try {
      const text = decipher.update(sealed.subarray(1 + NONCE_BYTES, end), undefined, "utf8") + decipher.final("utf8");
      const [namespace, serviceAccount, podName, podUid, expiresAt] = JSON.parse(text) as [string, string, string, string, number];
      return { namespace, serviceAccount, podName, podUid, expiresAt };
    } catch {
      // The tag does not fit: somebody else made it, or changed it.
      return undefined;
    }
  }

  /** Both halves of the access key follow from the token, so that none of the three can be used with another one. */
  #keyOf(sealed: Buffer): { accessKeyId: string; secretAccessKey: string } {
    const bits = createHmac("sha256", this.#derive).update("id").update(sealed).digest();
    let accessKeyId = TEMPORARY;
    for (let i = 0; i < KEY_ID_LENGTH; i++) accessKeyId += KEY_ID_ALPHABET.charAt(bits.readUInt8(i) & 31);
    const secret = createHmac("sha256", this.#derive).update("secret").update(sealed).digest().subarray(0, SECRET_BYTES);
    return { accessKeyId, secretAccessKey: secret.toString("base64") };
  }
}

/** Whether two texts are the same, in a time that does not tell how far they are. */
function sameText(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

function derivedKey(secret: string, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, "", purpose, KEY_BYTES));
}
