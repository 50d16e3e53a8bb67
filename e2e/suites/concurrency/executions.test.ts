import { expect, test } from "vitest";
import { concurrency } from "./executions.ts";

const run = (start: number, end: number) => ({ environment: "e", start, end });

test("executions that overlap are counted together, those that follow each other are not", () => {
  expect(concurrency([])).toBe(0);
  expect(concurrency([run(0, 1), run(1, 2), run(2, 3)])).toBe(1);
  expect(concurrency([run(0, 3), run(1, 2), run(2, 4), run(2.5, 2.6)])).toBe(3);
});
