import { fromSeed, createUser as newUser, Prefix } from "@nats-io/nkeys";

/** A NATS user's key pair. NATS knows the public key only; whoever holds the seed is the user (docs.nats.io, NKeys). */
export interface UserKey {
  /** `SU…`, 58 characters. Secret. */
  seed: string;
  /** `U…`, 56 characters; goes into NATS's configuration. */
  publicKey: string;
}

/** A new user key from the system's random source. */
export function createUserKey(): UserKey {
  const pair = newUser();
  const key = { seed: Buffer.from(pair.getSeed()).toString("ascii"), publicKey: pair.getPublicKey() };
  pair.clear();
  return key;
}

/** The public key that belongs to a user's seed, or `undefined` when the text is no user's seed (damaged, or another kind of key). */
export function publicKeyOf(seed: string): string | undefined {
  try {
    const pair = fromSeed(Buffer.from(seed.trim(), "ascii"));
    const publicKey = pair.getPublicKey();
    pair.clear();
    return publicKey.charCodeAt(0) === publicKeyLetter ? publicKey : undefined;
  } catch {
    return undefined;
  }
}

/** Public keys of users begin with `U`: the prefix byte in base 32. */
const publicKeyLetter = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".charCodeAt(Prefix.User >> 3);
