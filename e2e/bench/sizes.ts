/** How much is measured. */
export interface Size {
  name: string;
  /** Rounds of each comparison, and milliseconds of each contender in a round. */
  rounds: number;
  roundMs: number;
  /** Cold starts of each runtime. */
  coldStarts: number;
  /** Cold starts with an empty pool. */
  emptyStarts: number;
  /** First requests of a burst, one burst each. */
  bursts: readonly number[];
  /** Invocations counted in the audit log. */
  quietCalls: number;
  /** Functions whose weight on a gateway is measured. */
  functions: number;
}

export const FULL: Size = {
  name: "Full size",
  rounds: 10,
  roundMs: 3_000,
  coldStarts: 100,
  emptyStarts: 20,
  bursts: [10, 25, 50],
  quietCalls: 10_000,
  functions: 1_000,
};

export const QUICK: Size = {
  name: "Quick: fewer runs, for gross regressions only",
  rounds: 4,
  roundMs: 1_000,
  coldStarts: 10,
  emptyStarts: 3,
  bursts: [10],
  quietCalls: 2_000,
  functions: 0,
};
