import { expect, test } from "vitest";
import { concurrency, executionsIn } from "./executions.ts";

const run = (start: number, end: number) => ({ environment: "e", start, end });

test("executions that overlap are counted together, those that follow each other are not", () => {
  expect(concurrency([])).toBe(0);
  expect(concurrency([run(0, 1), run(1, 2), run(2, 3)])).toBe(1);
  expect(concurrency([run(0, 3), run(1, 2), run(2, 4), run(2.5, 2.6)])).toBe(3);
});

test("a log says what ran, and what runs still", () => {
  const log = "START RequestId: a\nBEGAN a stream-1 10.5\nENDED a 12.5\nREPORT\nBEGAN b stream-1 13\n";
  expect(executionsIn(log)).toEqual([
    { environment: "stream-1", start: 10.5, end: 12.5 },
    { environment: "stream-1", start: 13, end: Number.POSITIVE_INFINITY },
  ]);
});
