import { signingKey } from "./signature.ts";

/** Signing keys of so many days are kept: around midnight callers' clocks are on two days. */
const DAYS = 2;

/** The keys that follow from one secret access key, each derived once. */
export class SigningKeys {
  readonly #secret: string;
  readonly #keys = new Map<string, Buffer>();

  constructor(secretAccessKey: string) {
    this.#secret = secretAccessKey;
  }

  /** The key of a day (`YYYYMMDD`) in a region. */
  of(date: string, region: string): Buffer {
    const id = `${date}/${region}`;
    let key = this.#keys.get(id);
    if (!key) {
      key = signingKey(this.#secret, date, region);
      for (const oldest of this.#keys.keys()) {
        if (this.#keys.size < DAYS) break;
        this.#keys.delete(oldest);
      }
      this.#keys.set(id, key);
    }
    return key;
  }
}
