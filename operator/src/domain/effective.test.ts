import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assignmentId, revisionId } from "./effective.ts";

const input = fc.record({ uid: fc.uuid(), generation: fc.integer({ min: 1 }), packageSha256: fc.stringMatching(/^[0-9a-f]{64}$/) });

describe("revisionId", () => {
  test("has the shape of a UUID", () => {
    fc.assert(fc.property(input, (of) => /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(revisionId(of))));
  });

  test("is the same for the same input and another one for another generation", () => {
    fc.assert(
      fc.property(input, (of) => {
        expect(revisionId({ ...of })).toBe(revisionId(of));
        expect(revisionId({ ...of, generation: of.generation + 1 })).not.toBe(revisionId(of));
      }),
    );
  });
});

test("an assignment names function, version and revision", () => {
  expect(assignmentId({ uid: "u", version: "$LATEST", revisionId: "r" })).toBe("u/$LATEST/r");
});
