/** What can be wrong with a package in an environment, in the words that a caller gets. */

/** `InvalidZipFileException`: the package itself is at fault. `ServiceException`: it could not be had. */
type PackageErrorType = "InvalidZipFileException" | "ServiceException";

export class PackageError extends Error {
  override name = "PackageError";
  readonly errorType: PackageErrorType;

  constructor(errorType: PackageErrorType, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.errorType = errorType;
  }
}

/** Any failure on the way from an assignment to unpacked code; one that is no {@link PackageError} is the platform's. */
export function packageFailure(error: unknown): { errorType: PackageErrorType; message: string } {
  if (error instanceof PackageError) return { errorType: error.errorType, message: error.message };
  return {
    errorType: "ServiceException",
    // What a system call said is for the operator's log: it names files of the environment.
    message: "The package could not be put in place.",
  };
}
