import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { aliasRoutes, shareByWeight, versionsNamed } from "./versions.ts";

const target = (weight: string) => ({ functionVersion: "7", routingConfig: { additionalVersionWeights: { "8": weight } } });

describe("the routes of an alias", () => {
  test("are one version without routing", () => {
    expect(aliasRoutes({ functionVersion: "$LATEST" })).toEqual({ version: "$LATEST" });
    expect(aliasRoutes({ functionVersion: "7", routingConfig: { additionalVersionWeights: {} } })).toEqual({ version: "7" });
  });

  test.each([
    ["0.05", 0.05],
    ["0.1", 0.1],
    ["1", 1],
    ["1.000", 1],
    ["0.00000000000000000001", 1e-20],
    ["0.30000000000000004", 0.30000000000000004],
  ])("give the second version exactly %s", (text, weight) => {
    expect(aliasRoutes(target(text))).toEqual({ version: "7", additional: { version: "8", weight } });
  });

  test.each(["0", "0.0", "0.000", "1.1", "-0.5", "abc", "", ".5", "1e-3", "0.5 "])("leave out a second version of weight %j", (text) => {
    expect(aliasRoutes(target(text))).toEqual({ version: "7" });
  });

  test("are the number that Lambda's weight is, for every weight", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 ** 9 }), (n) => {
        const text = `0.${String(n).padStart(10, "0")}`;
        expect(aliasRoutes(target(text)).additional?.weight).toBe(Number(text));
      }),
    );
  });

  test("an alias names its second version whatever its weight", () => {
    expect(versionsNamed(target("0"))).toEqual(["7", "8"]);
    expect(versionsNamed({ functionVersion: "7" })).toEqual(["7"]);
  });
});

describe("a whole is shared by weight", () => {
  test.each([
    [10, "0.1", [9, 1]],
    [10, "0.25", [7, 3]],
    [10, "0.04", [9, 1]],
    [2, "0.999", [1, 1]],
    [1, "0.4", [1]],
    [1, "0.5", [1]],
    [5, "1", [5]],
    [5, "0", [5]],
  ])("%i by %s", (whole, weight, counts) => {
    expect(shareByWeight(target(weight), whole).map(({ count }) => count)).toEqual(counts);
  });

  test("the sum is kept, and nobody with a share goes without one of several", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 100_000 }), fc.integer({ min: 1, max: 9_999 }), (whole, n) => {
        const shares = shareByWeight(target(`0.${String(n).padStart(4, "0")}`), whole);
        expect(shares.reduce((sum, { count }) => sum + count, 0)).toBe(whole);
        expect(shares).toHaveLength(2);
        expect(Math.abs((shares[1]?.count ?? 0) - (whole * n) / 10_000)).toBeLessThanOrEqual(1);
      }),
    );
  });
});
