/**
 * What the agents of pooled environments prove themselves with. User code shares its pod's token, so the token alone says which pod is
 * dialling, not that it is its agent. Both proofs follow from the pod and a key that only the gateways can derive: any of them can check
 * what another one gave, and nothing is stored. Pure.
 */
import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

const KEY_BYTES = 32;

/** Makes and checks proofs. Two with one secret accept each other's. */
export class Tickets {
  readonly #key: Buffer;

  /** @param secret known to the gateways alone */
  constructor(secret: string) {
    this.#key = Buffer.from(hkdfSync("sha256", secret, "", "kappa environments: tickets and passes", KEY_BYTES));
  }

  /** For an agent that has no assignment yet: it is the agent of this pod. */
  ticket(podUid: string): string {
    return this.#proof("ticket", podUid);
  }

  /** For an agent that has one: this pod was given this assignment. */
  pass(podUid: string, assignmentId: string): string {
    return this.#proof("pass", podUid, assignmentId);
  }

  isTicket(text: string | undefined, podUid: string): boolean {
    return text !== undefined && same(text, this.ticket(podUid));
  }

  isPass(text: string | undefined, podUid: string, assignmentId: string): boolean {
    return text !== undefined && same(text, this.pass(podUid, assignmentId));
  }

  #proof(...of: string[]): string {
    return createHmac("sha256", this.#key).update(JSON.stringify(of)).digest("base64url");
  }
}

/** Compares in a time that does not tell how far two texts are the same. */
function same(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}
