import { expect, test } from "vitest";
import { warmStagesText } from "./warm-stages.ts";

test("the stages of a warm call add up to the whole of it", () => {
  const text = warmStagesText({ whole: [1, 1.2], handler: [0.3, 0.4], kappaMean: 0.5, bare: [0.2, 0.3] });
  expect(text).toContain("| client, first byte to last | 1.100 | 1.100 |");
  expect(text).toContain("| gateway and agent | 0.500 |  |");
  expect(text).toContain("| the rest | 0.250 |  |");
});

test("calls that did not tell how long their handler took are not left out of a mean", () => {
  expect(() => warmStagesText({ whole: [1, 1], handler: [0.3], kappaMean: 0.5, bare: [0.2] })).toThrow("of 2 warm calls 1 told");
});
