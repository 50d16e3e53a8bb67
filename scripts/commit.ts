/** Which commit a result is of. */
import { execFileSync } from "node:child_process";

const root = new URL("..", import.meta.url).pathname;

/** Its hash, and whether the tree differs from it; results, which runs write themselves, are no difference. */
export function measuredCommit(): { commit: string; changed: boolean } {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
  return {
    commit: git("rev-parse", "--short=12", "HEAD"),
    changed: git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!e2e/*/results") !== "",
  };
}
