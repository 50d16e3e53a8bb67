import { expect, test } from "vitest";
import { createUserKey } from "../bus/nkeys.ts";
import { KappaError } from "../domain/errors.ts";
import { CREDENTIALS, type Found, type Generate, planCredentials } from "./plan.ts";

const fresh: Generate = { seed: () => createUserKey().seed, secret: () => "s".repeat(43) };
const nothingIsMissing: Generate = {
  seed: () => expect.unreachable("a seed was made although none was missing"),
  secret: () => expect.unreachable("a secret was made although none was missing"),
};

const complete = (): Found => planCredentials({}, fresh).create;

test("on an empty namespace every credential is created", () => {
  const plan = planCredentials({}, fresh);
  expect(Object.keys(plan.create).sort()).toEqual(Object.keys(CREDENTIALS).sort());
  expect(plan.complete).toEqual({});
  for (const [name, keys] of Object.entries(CREDENTIALS))
    expect(Object.keys(plan.create[name as keyof typeof CREDENTIALS] ?? {})).toEqual(Object.keys(keys));
});

test("with everything there nothing is made, and the text and revision stay the same", () => {
  const found = complete();
  const first = planCredentials(found, nothingIsMissing);
  expect(first).toMatchObject({ create: {}, complete: {} });
  expect(planCredentials(found, nothingIsMissing)).toEqual(first);
});

test("one deleted Secret is made anew, the others are kept, and the revision changes", () => {
  const found = complete();
  const before = planCredentials(found, nothingIsMissing);
  const { "kappa-nats-gateway": _, ...rest } = found;
  const plan = planCredentials(rest, fresh);
  expect(Object.keys(plan.create)).toEqual(["kappa-nats-gateway"]);
  expect(plan.revision).not.toBe(before.revision);
});

test("a key that an older Kappa did not write is added beside the ones that are kept", () => {
  const found = complete();
  const seed = found["kappa-nats-controller"]?.seed ?? "";
  const plan = planCredentials({ ...found, "kappa-nats-controller": { seed } }, fresh);
  expect(plan.create).toEqual({});
  expect(plan.complete["kappa-nats-controller"]).toMatchObject({ seed, "user-seed": expect.stringMatching(/^SU/) });
});

test("the revision changes with the peer secret too, without telling it", () => {
  const found = complete();
  const other = { ...found, "kappa-peers": { secret: "t".repeat(43) } };
  expect(planCredentials(other, nothingIsMissing).revision).not.toBe(planCredentials(found, nothingIsMissing).revision);
});

test("a damaged seed and a short secret are refused, with the Secret, the key and the remedy", () => {
  const found = complete();
  const refusal = (bad: Found): unknown => {
    try {
      return planCredentials(bad, fresh);
    } catch (error) {
      return error;
    }
  };
  const badSeed = refusal({ ...found, "kappa-nats-gateway": { seed: "SUAAAA" } });
  expect(badSeed).toBeInstanceOf(KappaError);
  expect(String(badSeed)).toMatch(/kappa-nats-gateway.*'seed'.*Delete the Secret/);
  expect(String(refusal({ ...found, "kappa-peers": { secret: "short" } }))).toMatch(/kappa-peers.*'secret'/);
});

test("NATS's text holds public keys only, and every user once", () => {
  const plan = planCredentials({}, fresh);
  expect(plan.authConf).not.toMatch(/\bSU[A-Z2-7]{20}/);
  const users = plan.authConf.match(/\bU[A-Z2-7]{55}\b/g) ?? [];
  expect(users).toHaveLength(4);
  expect(new Set(users).size).toBe(4);
});
