import fc from "fast-check";
import { expect, test } from "vitest";
import { owner, rank } from "./rendezvous.ts";

const members = fc.uniqueArray(fc.stringMatching(/^kappa-gateway-[a-z0-9]{5}$/), { minLength: 1, maxLength: 8 });
const key = fc.stringMatching(/^[a-z]{1,8}\/[a-z0-9-]{1,12}$/);

test("everybody who knows the same members names the same owner, in whatever order they are known", () => {
  fc.assert(fc.property(members, key, (all, k) => owner(all, k) === owner([...all].reverse(), k) && owner(all, k) === rank(all, k)[0]));
});

test("when a member goes, only its own keys move, and each to the next in rank", () => {
  fc.assert(
    fc.property(members, key, fc.nat(), (all, k, pick) => {
      const gone = all[pick % all.length];
      const before = rank(all, k);
      const after = rank(
        all.filter((m) => m !== gone),
        k,
      );
      expect(after).toEqual(before.filter((m) => m !== gone));
    }),
  );
});

test("a new member takes keys only for itself", () => {
  fc.assert(
    fc.property(members, key, (all, k) => {
      const now = owner([...all, "kappa-gateway-new"], k);
      expect([owner(all, k), "kappa-gateway-new"]).toContain(now);
    }),
  );
});

test("keys spread evenly over members with like names", () => {
  const replicas = ["kappa-gateway-7d9c-aaaaa", "kappa-gateway-7d9c-aaaab", "kappa-gateway-7d9c-aaaac"];
  const counts = new Map<string, number>();
  for (let i = 0; i < 3000; i++) {
    const who = owner(replicas, `team/function-${i}`) ?? "";
    counts.set(who, (counts.get(who) ?? 0) + 1);
  }
  for (const replica of replicas) expect(counts.get(replica)).toBeGreaterThan(850);
});

test("without members nobody owns anything", () => {
  expect(owner([], "team/f")).toBeUndefined();
  expect(rank([], "team/f")).toEqual([]);
});
