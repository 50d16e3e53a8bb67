/**
 * What the functions of an account used in a day, UTC. Every gateway writes down what it counted itself; the report is the sum. Amounts
 * are whole numbers, so that sums are exact whatever their order.
 */

/** What one function used. */
export interface BilledUse {
  /** Events that ran, whatever came of them. */
  invocations: number;
  /** Of these, the ones that ended with a function error. */
  errors: number;
  /** Refused for a limit: they are no invocations and bill nothing. */
  throttles: number;
  /** Σ billed duration, milliseconds. */
  billedMs: number;
  /** Σ billed duration × memory size, millisecond-MiB. */
  memoryMs: number;
}

/** Uses by function name. */
export type UsesByFunction = Readonly<Record<string, BilledUse>>;

/** One line of the report. */
export interface BillingLine {
  functionName: string;
  invocations: number;
  errors: number;
  throttles: number;
  billedDurationMs: number;
  /** As Lambda's price list counts: GiB × seconds. */
  gbSeconds: number;
}

/** The report of one account and day. */
export interface BillingReport {
  /** `YYYY-MM-DD`, UTC. */
  day: string;
  accountId: string;
  functions: BillingLine[];
  total: Omit<BillingLine, "functionName">;
}

const NOTHING: BilledUse = { invocations: 0, errors: 0, throttles: 0, billedMs: 0, memoryMs: 0 };
const MIB_PER_GIB = 1024;

/** The day of a moment, `YYYY-MM-DD`, UTC. @param now epoch milliseconds */
export function dayOf(now: number): string {
  return new Date(now).toISOString().slice(0, 10);
}

/** Whether a text is a day that exists. */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && dayOf(time) === text;
}

/** Two uses together. */
export function addUse(a: BilledUse, b: BilledUse): BilledUse {
  return {
    invocations: a.invocations + b.invocations,
    errors: a.errors + b.errors,
    throttles: a.throttles + b.throttles,
    billedMs: a.billedMs + b.billedMs,
    memoryMs: a.memoryMs + b.memoryMs,
  };
}

/** The report of what several gateways counted, functions by name. */
export function billingReport(of: { day: string; accountId: string }, counted: readonly UsesByFunction[]): BillingReport {
  const sums = new Map<string, BilledUse>();
  for (const uses of counted) for (const [name, use] of Object.entries(uses)) sums.set(name, addUse(sums.get(name) ?? NOTHING, use));
  const byName = [...sums].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    ...of,
    functions: byName.map(([functionName, use]) => ({ functionName, ...amounts(use) })),
    total: amounts(byName.reduce((sum, [, use]) => addUse(sum, use), NOTHING)),
  };
}

function amounts({ invocations, errors, throttles, billedMs, memoryMs }: BilledUse): Omit<BillingLine, "functionName"> {
  return { invocations, errors, throttles, billedDurationMs: billedMs, gbSeconds: memoryMs / MIB_PER_GIB / 1000 };
}

const COLUMNS: readonly [title: string, cell: (line: BillingLine) => string][] = [
  ["FUNCTION", (line) => line.functionName],
  ["INVOCATIONS", (line) => String(line.invocations)],
  ["ERRORS", (line) => String(line.errors)],
  ["THROTTLES", (line) => String(line.throttles)],
  ["BILLED MS", (line) => String(line.billedDurationMs)],
  ["GB-SECONDS", (line) => line.gbSeconds.toFixed(3)],
];

/** The report as a table for people: names to the left, numbers to the right, the total last. */
export function billingTable({ day, accountId, functions, total }: BillingReport): string {
  const rows = [
    COLUMNS.map(([title]) => title),
    ...[...functions, { functionName: "TOTAL", ...total }].map((line) => COLUMNS.map(([, cell]) => cell(line))),
  ];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  "),
  );
  return `Account ${accountId}, ${day} (UTC)\n\n${lines.join("\n")}\n`;
}
