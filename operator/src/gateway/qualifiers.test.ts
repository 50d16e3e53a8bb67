import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { resolveQualifier } from "./qualifiers.ts";

const entry = {
  aliases: new Map([
    ["PROD", { version: "7" }],
    ["DEV", { version: "$LATEST" }],
    ["CANARY", { version: "7", additional: { version: "8", weight: 0.25 } }],
  ]),
};
const never = () => {
  throw new Error("nothing is left to chance here");
};

describe("a qualifier stands for a version", () => {
  test.each([
    ["none", undefined, "$LATEST"],
    ["$LATEST", "$LATEST", "$LATEST"],
    ["a number, whether there is such a version or not", "12", "12"],
    ["an alias of a number", "PROD", "7"],
    ["an alias of $LATEST", "DEV", "$LATEST"],
    ["an alias that there is not", "prod", undefined],
  ])("%s", (_, qualifier, version) => {
    expect(resolveQualifier(entry, qualifier, never)).toBe(version);
  });

  test("with a weight: the second one for that share of all chances", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (chance) => {
        expect(resolveQualifier(entry, "CANARY", () => chance)).toBe(chance < 0.25 ? "8" : "7");
      }),
    );
  });

  test.each([
    [0, "7"],
    [1, "8"],
  ])("with the weight %d: always the same one", (weight, version) => {
    const aliases = new Map([["A", { version: "7", additional: { version: "8", weight } }]]);
    for (const chance of [0, 0.5, 1 - Number.EPSILON]) expect(resolveQualifier({ aliases }, "A", () => chance)).toBe(version);
  });
});
