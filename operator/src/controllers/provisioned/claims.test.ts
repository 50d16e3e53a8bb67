import { expect, test } from "vitest";
import { Claims } from "./claims.ts";

test("what others have set aside is reserved or provisioned, of the same account", () => {
  const claims = new Claims();
  claims.reserve("a/one", 50);
  claims.provision("a/one", 20);
  claims.provision("a/two", 7);
  claims.provision("b/three", 900);
  expect([claims.others("a/new"), claims.others("a/one"), claims.others("a/two"), claims.others("b/three")]).toEqual([57, 7, 50, 0]);
  claims.reserve("a/one", undefined);
  expect(claims.others("a/new")).toBe(27);
  claims.reserve("a/two", 0);
  expect(claims.others("a/new")).toBe(20);
  claims.provision("a/one", 0);
  claims.reserve("a/two", undefined);
  claims.provision("a/two", 0);
  expect(claims.others("a/new")).toBe(0);
});
