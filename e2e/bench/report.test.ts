import { expect, test } from "vitest";
import { milliseconds, percentilesTable, report, rowsTable } from "./report.ts";
import { summarise } from "./statistics.ts";

test("milliseconds have as many decimals as they are worth", () => {
  expect([0.1234, 12.34, 123.4].map(milliseconds)).toEqual(["0.12 ms", "12.3 ms", "123 ms"]);
});

test("a row tells whether it was reached, and nothing where it only informs", () => {
  const row = { id: "P1", what: "a | b", target: "≤ 1", measured: "2", ratio: 12.345 };
  expect(
    rowsTable([{ ...row, reached: false }, { ...row, reached: true }, row])
      .split("\n")
      .slice(2),
  ).toEqual([
    "| P1 | a \\| b | ≤ 1 | 2 |  | 12.3 | **no** |",
    "| P1 | a \\| b | ≤ 1 | 2 |  | 12.3 | yes |",
    "| P1 | a \\| b | ≤ 1 | 2 |  | 12.3 | – |",
  ]);
});

test("percentiles are told with the number of values that they are of", () => {
  expect(percentilesTable([{ name: "bare", group: "P1", summary: summarise([1, 1, 1]) }])).toContain("| bare | P1 | 3 | 1.000 |");
});

test("the report counts what was reached and names what was not", () => {
  const text = report({
    machine: { processor: "A chip", cores: 2, memoryGiB: 8, kernel: "6.1", loadBefore: "0.10", loadAfter: "2.00" },
    commit: "abc",
    date: "2026-01-02",
    size: "Full size",
    rows: [
      { id: "P1a", what: "x", target: "", measured: "", reached: true },
      { id: "P1b", what: "y", target: "", measured: "", reached: false },
      { id: "P1c", what: "z", target: "", measured: "" },
    ],
    series: [],
    notes: ["## Where the time goes"],
    plots: ["warm.svg"],
  });
  expect(text).toContain("- 1 reached, 1 not: P1b");
  expect(text).toContain("2 × A chip, 8 GiB, Linux 6.1");
  expect(text).toContain("![warm.svg](warm.svg)");
});
