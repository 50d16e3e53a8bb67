/** Which commit a result is of. */
import { execFileSync } from "node:child_process";

const root = new URL("..", import.meta.url).pathname;

/** What runs write themselves. */
const RESULTS = ["e2e/suites/results", "e2e/bench/results", "e2e/bench/limits.json"];

/** Its hash, and whether the tree differs from it, {@link RESULTS} aside. */
export function measuredCommit(): { commit: string; changed: boolean } {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
  return {
    commit: git("rev-parse", "--short=12", "HEAD"),
    changed: git("status", "--porcelain", "--untracked-files=no", "--", ".", ...RESULTS.map((path) => `:!${path}`)) !== "",
  };
}
