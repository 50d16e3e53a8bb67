/**
 * What the last full run measured as ratios, for a quick one to be compared with. Ratios, since two machines have different times and
 * much the same ratios; generous, since a shared machine has hours when nothing is as it was. Pure.
 */
import { z } from "zod";
import type { Row } from "./report.ts";
import { meanAndSpread } from "./statistics.ts";

export const Limits = z.object({
  /** The run that they are from. */
  commit: z.string(),
  date: z.string(),
  /** By row: mean and standard deviation of the ratio over the rounds of that run. */
  ratios: z.record(z.string(), z.object({ mean: z.number(), spread: z.number(), better: z.enum(["lower", "higher"]) })),
});

export type Limits = z.infer<typeof Limits>;

/** So many times worse than the mean, and … */
const FACTOR = 2;
/** … so many standard deviations: both have to be exceeded to call it a regression. */
const SPREADS = 4;

/** What a full run leaves for later ones. */
export function limitsFrom(rows: readonly Row[], run: { commit: string; date: string }): Limits {
  const measured = rows.filter((row) => row.rounds !== undefined && row.rounds.length > 0);
  return {
    ...run,
    ratios: Object.fromEntries(
      measured.map((row) => {
        const { mean, spread } = meanAndSpread(row.rounds ?? []);
        return [row.id, { mean: rounded(mean), spread: rounded(spread), better: row.higherIsBetter ? "higher" : "lower" }];
      }),
    ),
  };
}

const rounded = (value: number): number => Number(value.toPrecision(4));

/** The rows that are much worse than the limits say, each as a sentence. */
export function regressions(rows: readonly Row[], limits: Limits): string[] {
  return rows.flatMap((row) => {
    const limit = limits.ratios[row.id];
    if (limit === undefined || row.ratio === undefined) return [];
    const { mean, spread, better } = limit;
    const bound = better === "lower" ? Math.max(mean * FACTOR, mean + SPREADS * spread) : Math.min(mean / FACTOR, mean - SPREADS * spread);
    const worse = better === "lower" ? row.ratio > bound : row.ratio < bound;
    if (!worse) return [];
    return [`${row.id} (${row.what}): ratio ${row.ratio.toFixed(2)}, expected ${mean} ± ${spread}, bound ${bound.toFixed(2)}`];
  });
}
