import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BilledUse, billingReport, billingTable, dayOf, isDay, type UsesByFunction } from "./billing-report.ts";

const of = { day: "2026-11-23", accountId: "000000000001" };
const use = (special: Partial<BilledUse>): BilledUse => ({ invocations: 0, errors: 0, throttles: 0, billedMs: 0, memoryMs: 0, ...special });

describe("the billing report", () => {
  test("adds what every gateway counted of a function", () => {
    const one = { greet: use({ invocations: 2, errors: 1, billedMs: 30, memoryMs: 30 * 128 }) };
    const two = {
      greet: use({ invocations: 1, throttles: 4, billedMs: 12, memoryMs: 12 * 256 }),
      other: use({ invocations: 1, billedMs: 1 }),
    };
    const { functions, total } = billingReport(of, [one, two]);
    expect(functions[0]).toEqual({
      functionName: "greet",
      invocations: 3,
      errors: 1,
      throttles: 4,
      billedDurationMs: 42,
      gbSeconds: (30 * 128 + 12 * 256) / 1024 / 1000,
    });
    expect(functions.map((line) => line.functionName)).toEqual(["greet", "other"]);
    expect(total).toMatchObject({ invocations: 4, billedDurationMs: 43 });
  });

  test("counts 1 GiB for 1 s as one GB-second", () => {
    const { total } = billingReport(of, [{ a: use({ invocations: 1, billedMs: 1000, memoryMs: 1000 * 1024 }) }]);
    expect(total.gbSeconds).toBe(1);
  });

  test("is empty for a day on which nothing ran", () => {
    expect(billingReport(of, [])).toEqual({
      ...of,
      functions: [],
      total: { invocations: 0, errors: 0, throttles: 0, billedDurationMs: 0, gbSeconds: 0 },
    });
  });

  test("is the same in whatever order and grouping the gateways' counts come", () => {
    const amount = fc.nat({ max: 2 ** 40 });
    const uses: fc.Arbitrary<UsesByFunction> = fc.dictionary(
      fc.constantFrom("a", "b", "c"),
      fc.record({ invocations: amount, errors: amount, throttles: amount, billedMs: amount, memoryMs: amount }),
    );
    fc.assert(
      fc.property(fc.array(uses, { maxLength: 8 }), (counted) => {
        expect(billingReport(of, counted.toReversed())).toEqual(billingReport(of, counted));
      }),
    );
  });

  test("names a function like a property of every object without harm", () => {
    const { functions } = billingReport(of, [{ constructor: use({ invocations: 1 }) }]);
    expect(functions).toHaveLength(1);
    expect(functions[0]?.functionName).toBe("constructor");
  });
});

describe("the table", () => {
  test("has a line for each function, aligned, and the total last", () => {
    const report = billingReport(of, [
      { greet: use({ invocations: 1200, billedMs: 4200, memoryMs: 4200 * 1024 }), a: use({ throttles: 7 }) },
    ]);
    expect(billingTable(report)).toBe(
      [
        "Account 000000000001, 2026-11-23 (UTC)",
        "",
        "FUNCTION  INVOCATIONS  ERRORS  THROTTLES  BILLED MS  GB-SECONDS",
        "a                   0       0          7          0       0.000",
        "greet            1200       0          0       4200       4.200",
        "TOTAL            1200       0          7       4200       4.200",
        "",
      ].join("\n"),
    );
  });
});

describe("a day", () => {
  test("is that of UTC", () => {
    expect(dayOf(Date.parse("2026-11-23T23:59:59.999Z"))).toBe("2026-11-23");
    expect(dayOf(Date.parse("2026-11-24T00:00:00.000Z"))).toBe("2026-11-24");
  });

  test.each(["2026-02-30", "2026-13-01", "26-01-01", "2026-01-01 ", "today", "2026-1-1"])("is not %j", (text) => {
    expect(isDay(text)).toBe(false);
  });

  test("is one that exists", () => {
    expect(isDay("2028-02-29")).toBe(true);
  });
});
