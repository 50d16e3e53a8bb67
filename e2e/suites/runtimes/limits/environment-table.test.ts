import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { ABSENT, differences, matches, placeholdersOf, rowsOf, shapes } from "./environment-table.ts";
import { FUNCTION_PLACEHOLDERS, INTROSPECTED } from "./introspected.ts";

const rows = rowsOf(readFileSync(new URL("../../../../docs/reference/environment.md", import.meta.url), "utf8"));

describe("docs/reference/environment.md", () => {
  test("says of everything what both have, and of a difference why", () => {
    expect(rows.length).toBeGreaterThan(60);
    for (const row of rows) {
      expect(row.onLambda, row.what).not.toBe("");
      expect(row.onKappa, row.what).not.toBe("");
      if (row.onLambda !== row.onKappa) expect(row.why, `${row.section}: ${row.what}`).not.toBe("");
    }
  });

  test("has one row for each thing of each runtime", () => {
    for (const runtime of INTROSPECTED) {
      const keys = rows
        .filter(({ runtimes }) => runtimes === undefined || runtimes.includes(runtime))
        .map(({ section, what }) => `${section}: ${what}`);
      expect(keys).toEqual([...new Set(keys)]);
    }
  });

  test("names runtimes that are looked into, and placeholders that mean something", () => {
    for (const { runtimes, onKappa } of rows) {
      for (const runtime of runtimes ?? []) expect(INTROSPECTED).toContain(runtime);
      for (const name of placeholdersOf(onKappa)) expect(shapes.has(name) || FUNCTION_PLACEHOLDERS.includes(name), `{${name}}`).toBe(true);
    }
  });
});

describe("comparing", () => {
  const markdown = [
    "## Variables",
    "",
    "| what | runtimes | on Lambda | on Kappa | why not the same |",
    "| --- | --- | --- | --- | --- |",
    "| `NAME` | all | `{name}` | `{name}` | |",
    "| `HOME` | all | – | – | |",
    "| `PYTHONPATH` | python3.11 | `/var/runtime` | `/var/runtime/python` | its own folder |",
    "## Limits",
    "| what | runtimes | on Lambda | on Kappa | why not the same |",
    "| --- | --- | --- | --- | --- |",
    "| open files | python3.11, nodejs24.x | 1024 | {number} (of {number}) | |",
  ].join("\n");
  const table = rowsOf(markdown);
  const facts = [
    ["Variables", "NAME", "my.function"],
    ["Variables", "PYTHONPATH", "/var/runtime/python"],
    ["Limits", "open files", "1024 (of 2048)"],
  ] as const;
  const compare = (found: readonly (readonly [string, string, string])[], runtime = "python3.11") =>
    differences(table, runtime, found, { name: "my.function" });

  test("rows carry their section, their runtimes, and values without the marks of code", () => {
    expect(table[0]).toEqual({ section: "Variables", what: "NAME", runtimes: undefined, onLambda: "{name}", onKappa: "{name}", why: "" });
    expect(table[1]?.onKappa).toBe(ABSENT);
    expect(table[3]?.runtimes).toEqual(["python3.11", "nodejs24.x"]);
  });

  test("a row with a column too few is refused", () => {
    expect(() => rowsOf("| a | all | b | c |")).toThrow("4 columns");
  });

  test("what agrees gives no difference", () => {
    expect(compare(facts)).toEqual([]);
  });

  test.each([
    [
      "another value",
      [["Variables", "NAME", "my-function"], ...facts.slice(1)],
      'Variables: NAME is "my-function", the document says "{name}"',
    ],
    ["something that is not documented", [...facts, ["Variables", "NEW", "1"]], 'Variables: NEW is "1", and the document does not have it'],
    ["something that should not be there", [...facts, ["Variables", "HOME", "/"]], 'Variables: HOME is "/", the document says "–"'],
    ["something that is missing", facts.slice(0, 2), 'Limits: open files is not there, the document says "{number} (of {number})"'],
  ] as const)("%s is told", (_name, found, difference) => {
    expect(compare(found)).toEqual([difference]);
  });

  test("rows of other runtimes do not count", () => {
    expect(compare(facts, "provided.al2023")).toHaveLength(2);
  });

  test("a value is compared as text, but for its placeholders", () => {
    expect(matches("a.b (1) {number}", "a.b (1) 23", {})).toBe(true);
    expect(matches("a.b (1) {number}", "aab (1) 23", {})).toBe(false);
    expect(() => matches("{nothing}", "", {})).toThrow("{nothing} is no placeholder");
  });
});
