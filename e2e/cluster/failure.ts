/** An error that a person can act on: what failed and where, and the remedy. */
export class ClusterError extends Error {
  /** What to do about it: one sentence, often a command to type. */
  readonly remedy: string;

  constructor(message: string, remedy: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ClusterError";
    this.remedy = remedy;
  }
}

/** The text for a terminal: message, then the remedy on a line of its own when there is one. */
export function describeFailure(error: unknown): string {
  if (error instanceof ClusterError) return `${error.message}\n  remedy: ${error.remedy}`;
  // A command's own words say more than the place it was called from.
  if (error instanceof Error && error.name === "CommandError") return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
