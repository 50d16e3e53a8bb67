import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isSame, matches } from "./matches.ts";

describe("matches", () => {
  test.each([
    ["equal objects", { a: 1, b: ["x"] }, { a: 1, b: ["x"] }],
    ["fields that others own", { a: 1 }, { a: 1, b: 2 }],
    ["fields that others own, deeper", { m: { a: 1 } }, { m: { a: 1, b: 2 }, n: 3 }],
    ["an empty list that the API server left out", { a: 1, ingress: [] }, { a: 1 }],
    ["an empty map that the API server left out", { a: { b: {} } }, { a: {} }],
    ["an undefined field", { a: undefined }, {}],
  ])("is true for %s", (_, desired, actual) => {
    expect(matches(desired, actual)).toBe(true);
  });

  test.each([
    ["another value", { a: 1 }, { a: 2 }],
    ["a missing field", { a: 1 }, {}],
    ["no object at all", { a: 1 }, undefined],
    ["a longer list", { a: ["x"] }, { a: ["x", "y"] }],
    ["a list in another order", { a: ["x", "y"] }, { a: ["y", "x"] }],
    ["rules where none are wanted", { ingress: [] }, { ingress: [{}] }],
    ["a list where a map is wanted", { a: { 0: "x" } }, { a: ["x"] }],
    ["a number where a text is wanted", { a: "1" }, { a: 1 }],
    ["a false where a field is missing", { a: false }, {}],
  ])("is false for %s", (_, desired, actual) => {
    expect(matches(desired, actual)).toBe(false);
  });

  test("is true for anything and its copy", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(isSame(value, structuredClone(value))).toBe(true);
      }),
    );
  });
});

describe("isSame", () => {
  test("is false when there is a field besides", () => {
    expect(isSame({ a: 1 }, { a: 1, b: 2 })).toBe(false);
  });
});
