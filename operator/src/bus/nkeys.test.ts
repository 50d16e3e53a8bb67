import { createAccount } from "@nats-io/nkeys";
import { expect, test } from "vitest";
import { createUserKey, publicKeyOf } from "./nkeys.ts";

test("a new key has a user's seed and the public key that belongs to it", () => {
  const key = createUserKey();
  expect(key.seed).toMatch(/^SU[A-Z2-7]{56}$/);
  expect(key.publicKey).toMatch(/^U[A-Z2-7]{55}$/);
  expect(publicKeyOf(key.seed)).toBe(key.publicKey);
});

test("two new keys differ", () => {
  expect(createUserKey().seed).not.toBe(createUserKey().seed);
});

test("a line end after the seed does no harm, because editors add one", () => {
  const key = createUserKey();
  expect(publicKeyOf(`${key.seed}\n`)).toBe(key.publicKey);
});

test("a damaged seed and the seed of another kind of key have no public key", () => {
  const { seed } = createUserKey();
  // Not the last character: two of its five bits are padding, and a change there is none.
  const changed = seed.at(20) === "A" ? "B" : "A";
  expect(publicKeyOf(seed.slice(0, 20) + changed + seed.slice(21))).toBeUndefined();
  expect(publicKeyOf("")).toBeUndefined();
  expect(publicKeyOf(Buffer.from(createAccount().getSeed()).toString("ascii"))).toBeUndefined();
});
