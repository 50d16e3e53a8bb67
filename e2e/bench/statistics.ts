/** The statistics of the bench. Pure. */

/** Median of some numbers; NaN of none. */
export const median = (values: readonly number[]): number => percentile(sorted(values), 50);

/** In ascending order, as {@link percentile} wants them. */
export const sorted = (values: readonly number[]): number[] => values.toSorted((a, b) => a - b);

/**
 * The value that so many per cent of the values do not exceed, interpolated between neighbours (R's type 7). NaN of none.
 * @param ascending from {@link sorted}
 */
export function percentile(ascending: readonly number[], percent: number): number {
  const position = ((ascending.length - 1) * percent) / 100;
  const [below, above] = [ascending[Math.floor(position)], ascending[Math.ceil(position)]];
  if (below === undefined || above === undefined) return Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

/** What is told of a series. */
export interface Summary {
  count: number;
  p50: number;
  p90: number;
  p95: number;
  p99: number;
  p999: number;
  max: number;
}

/** The percentiles of a series, in its own unit. */
export function summarise(values: readonly number[]): Summary {
  const ascending = sorted(values);
  const at = (percent: number) => percentile(ascending, percent);
  return { count: ascending.length, p50: at(50), p90: at(90), p95: at(95), p99: at(99), p999: at(99.9), max: at(100) };
}

/** Mean, and standard deviation of a sample; the latter is 0 of fewer than two. */
export function meanAndSpread(values: readonly number[]): { mean: number; spread: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, spread: values.length < 2 ? 0 : Math.sqrt(squares / (values.length - 1)) };
}

/**
 * What one series has over another, round by round: rounds that lie next to each other in time had the same machine. The median, since
 * a machine that does something else for a moment spoils some rounds altogether.
 */
export const medianDifference = (ours: readonly number[], theirs: readonly number[]): number =>
  median(pairs(ours, theirs).map(([a, b]) => a - b));

/** Each round's ratio; the median of them is what is told, their spread what a limit is made from. */
export const ratios = (ours: readonly number[], theirs: readonly number[]): number[] => pairs(ours, theirs).map(([a, b]) => a / b);

function pairs(ours: readonly number[], theirs: readonly number[]): [number, number][] {
  if (ours.length !== theirs.length) throw new RangeError(`${ours.length} rounds cannot be compared with ${theirs.length}`);
  return ours.map((value, i) => [value, theirs[i] ?? Number.NaN]);
}
