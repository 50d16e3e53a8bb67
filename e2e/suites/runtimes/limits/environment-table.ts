/**
 * The tables of docs/reference/environment.md as data: what a function finds on Lambda and on Kappa. A test reads what it finds from a
 * running function and compares, so that the document and the product cannot differ.
 *
 * A row is `what | runtimes | on Lambda | on Kappa | why not the same`, under the heading of its section. Runtimes: `all`, or some,
 * with commas between. A value is a code span, or text; in it `{placeholder}` stands for what differs from function to function.
 */

export interface Row {
  section: string;
  what: string;
  /** Undefined: all of them. */
  runtimes: readonly string[] | undefined;
  onLambda: string;
  onKappa: string;
  why: string;
}

/** What a function found: section, name and value. */
export type Fact = readonly [section: string, what: string, value: string];

/** In the column of a side that does not have it. */
export const ABSENT = "–";

const COLUMNS = ["what", "runtimes", "on Lambda", "on Kappa", "why not the same"];

/** The rows of all tables of a document. */
export function rowsOf(markdown: string): Row[] {
  const rows: Row[] = [];
  let section = "";
  for (const line of markdown.split("\n")) {
    if (line.startsWith("## ")) section = line.slice(3).trim();
    if (!line.startsWith("|")) continue;
    const cells = line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
    if (cells.join() === COLUMNS.join() || /^-+$/.test(cells[0] ?? "")) continue;
    const [what = "", runtimes = "", onLambda = "", onKappa = "", why = ""] = cells;
    if (cells.length !== COLUMNS.length) throw new Error(`a row of "${section}" has ${cells.length} columns: ${line}`);
    const some = runtimes === "all" ? undefined : runtimes.split(",").map((name) => name.trim());
    rows.push({ section, what: plain(what), runtimes: some, onLambda: plain(onLambda), onKappa: plain(onKappa), why });
  }
  return rows;
}

/** The text of a cell that is one code span; any other cell as it is. */
const plain = (cell: string): string => /^`([^`]+)`$/.exec(cell)?.[1] ?? cell;

/** Placeholders that mean the same for every function, as regular expressions. */
const SHAPES: Readonly<Record<string, string>> = {
  number: "\\d+",
  hex: "[0-9a-f]+",
  uuid: "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
  date: "\\d{4}/\\d{2}/\\d{2}",
  letters: "[A-Z0-9]+",
  secret: "[A-Za-z0-9+/=_.-]{40,}",
  text: ".+",
};

/** Names of the placeholders in a value. */
export const placeholdersOf = (value: string): string[] => [...value.matchAll(/\{([^}]*)\}/g)].map(([, name = ""]) => name);

/** The placeholders that need no facts of a function. */
export const shapes: ReadonlySet<string> = new Set(Object.keys(SHAPES));

/** Whether a value is what a cell says. @param known the placeholders of this function */
export function matches(cell: string, value: string, known: Readonly<Record<string, string>>): boolean {
  const pattern = cell
    .split(/(\{[^}]*\})/)
    .map((part, i) => (i % 2 === 0 ? escaped(part) : placeholder(part.slice(1, -1), known)))
    .join("");
  return new RegExp(`^${pattern}$`).test(value);
}

/** A text as a regular expression that matches it alone. */
const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

function placeholder(name: string, known: Readonly<Record<string, string>>): string {
  const value = known[name];
  if (value !== undefined) return escaped(value);
  const shape = SHAPES[name];
  if (shape === undefined) throw new Error(`{${name}} is no placeholder`);
  return shape;
}

/** Everything in which a function of one runtime and the document differ, a line each; none when they agree. */
export function differences(
  rows: readonly Row[],
  runtime: string,
  facts: readonly Fact[],
  known: Readonly<Record<string, string>>,
): string[] {
  const mine = rows.filter(({ runtimes }) => runtimes === undefined || runtimes.includes(runtime));
  const documented = new Map(mine.map((row) => [`${row.section}: ${row.what}`, row]));
  const found = new Map(facts.map(([section, what, value]) => [`${section}: ${what}`, value]));
  const lines: string[] = [];
  for (const [key, value] of found) {
    const cell = documented.get(key)?.onKappa;
    if (cell === undefined) lines.push(`${key} is "${value}", and the document does not have it`);
    else if (cell === ABSENT || !matches(cell, value, known)) lines.push(`${key} is "${value}", the document says "${cell}"`);
  }
  for (const [key, { onKappa }] of documented)
    if (onKappa !== ABSENT && !found.has(key)) lines.push(`${key} is not there, the document says "${onKappa}"`);
  return lines;
}
