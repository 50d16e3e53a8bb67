import { expect, test } from "vitest";
import { clockTime, Progress } from "./progress.ts";

test("steps are counted, timed and told with their outcome", async () => {
  const lines: string[] = [];
  let now = 0;
  const progress = new Progress(
    2,
    (line) => lines.push(line),
    () => now,
  );
  await progress.step("parts", async (note) => {
    now += 61_000;
    note("part 1/2 kind");
    return "2 built";
  });
  await expect(
    progress.step("images", async () => {
      now += 2_400;
      throw new Error("no disk");
    }),
  ).rejects.toThrow("no disk");
  expect(lines).toEqual([
    "[1/2] parts …",
    "       part 1/2 kind",
    "[1/2] parts … 2 built, 61 s (elapsed 1:01)",
    "[2/2] images …",
    "[2/2] images … FAILED after 2 s (elapsed 1:03)",
  ]);
});

test("times above an hour stay minutes and seconds", () => {
  expect(clockTime(3_661_000)).toBe("61:01");
});
