import { expect, test } from "vitest";
import { isKept, levelOf, lineLevel } from "./levels.ts";

test.each([
  ['{"level":"ERROR","message":"x"}', "ERROR"],
  ['{"msg":"x","level":"debug"}', "DEBUG"],
  ['{"level":"NOTICE"}', "INFO"],
  ['{"level":3}', "INFO"],
  ['{"message":"no level"}', "INFO"],
  ['{"level":"ERROR"', "INFO"],
  ["plain text", "INFO"],
  ["", "INFO"],
])("the line %s has the level %s", (line, level) => {
  expect(lineLevel(Buffer.from(line))).toBe(level);
});

test("a level keeps itself and all that are more serious", () => {
  expect(isKept("WARN", "WARN")).toBe(true);
  expect(isKept("FATAL", "WARN")).toBe(true);
  expect(isKept("INFO", "WARN")).toBe(false);
  expect(isKept("TRACE", "TRACE")).toBe(true);
  expect(levelOf(undefined)).toBe("INFO");
});
