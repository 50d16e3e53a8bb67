import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { resolveQualifier, versionNow } from "./qualifiers.ts";

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

describe("an event that waits means", () => {
  const now = (qualifier: string, version: string) =>
    versionNow(entry, { invokedArn: `arn:aws:lambda:us-east-1:111111111111:function:f:${qualifier}`, version }, () => 0.1);

  test.each([
    ["another version when its alias has left its own", "PROD", "6", "7"],
    ["one by the alias's weight then", "CANARY", "6", "8"],
    ["the same while its alias leads there, whatever the weight", "CANARY", "7", "7"],
    ["the same when it named that by number", "6", "6", "6"],
    ["the same when its alias is gone", "OLD", "6", "6"],
  ])("%s", (_, qualifier, version, expected) => {
    expect(now(qualifier, version)).toBe(expected);
  });
});
