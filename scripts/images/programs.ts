import { ClusterError } from "../../e2e/cluster/failure.ts";
import { attempt } from "../../e2e/cluster/run.ts";

/** Whether a program is there and starts. */
export const answers = async (...argv: string[]): Promise<boolean> => (await attempt(argv)).exitCode === 0;

/**
 * Makes sure that a program is there: installs its Debian package where that is possible.
 * @param argv a call of the program that ends well
 * @throws ClusterError with the command to type where it is not possible
 */
export async function ensureProgram(argv: readonly string[], debianPackage: string, logFile: string): Promise<void> {
  if (await answers(...argv)) return;
  const install = ["apt-get", "install", "--yes", "--no-install-recommends", debianPackage];
  const options = { logFile, env: { DEBIAN_FRONTEND: "noninteractive" } };
  // The lists of packages of a fresh machine are often missing or old.
  for (const command of [install, ["apt-get", "update"], install]) {
    await attempt(command, options);
    if (await answers(...argv)) return;
  }
  throw new ClusterError(`building images needs ${argv[0]}, which is not there and could not be installed (${logFile})`, install.join(" "));
}
