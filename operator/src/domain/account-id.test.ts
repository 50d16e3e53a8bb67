import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chooseAccountId, isAccountId } from "./account-id.ts";

describe("chooseAccountId", () => {
  test("gives the same namespace the same id each time", () => {
    fc.assert(
      fc.property(fc.uuid(), (uid) => {
        const first = chooseAccountId(uid, () => false);
        expect(chooseAccountId(uid, () => false)).toBe(first);
      }),
    );
  });

  test("gives twelve digits that do not start with zero", () => {
    fc.assert(fc.property(fc.uuid(), (uid) => /^[1-9][0-9]{11}$/.test(chooseAccountId(uid, () => false))));
  });

  test("probes on when the first candidate is taken", () => {
    const first = chooseAccountId("a", () => false);
    const second = chooseAccountId("a", (id) => id === first);
    expect(second).not.toBe(first);
    expect(isAccountId(second)).toBe(true);
  });

  test("never gives two namespaces the same id", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.uuid(), { maxLength: 50 }), (uids) => {
        const taken = new Set<string>();
        for (const uid of uids) taken.add(chooseAccountId(uid, (id) => taken.has(id)));
        expect(taken.size).toBe(uids.length);
      }),
    );
  });

  test("gives up with a message when everything is taken", () => {
    expect(() => chooseAccountId("a", () => true)).toThrow("no free account id for namespace a");
  });
});

describe("isAccountId", () => {
  test.each([undefined, "", "12345678901", "1234567890123", "12345678901x"])("refuses %j", (text) => {
    expect(isAccountId(text)).toBe(false);
  });
});
