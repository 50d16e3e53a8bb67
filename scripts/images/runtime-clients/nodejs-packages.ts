/** Which of npm's packages, and which of their files, a Node.js runtime's image holds. Pure. */
import { z } from "zod";

const LockFile = z.object({
  packages: z.record(z.string(), z.object({ dev: z.boolean().optional(), optional: z.boolean().optional() })),
});

/**
 * Folders of the packages that functions may import, relative to the lock file: all of its production dependencies. The others are
 * the runtime clients with their build tools, and Node itself.
 * @param lockFile content of package-lock.json
 */
export function importablePackages(lockFile: string): string[] {
  return Object.entries(LockFile.parse(JSON.parse(lockFile)).packages)
    .filter(([folder, { dev, optional }]) => folder !== "" && !dev && !optional)
    .map(([folder]) => folder);
}

/** Builds for bundlers and type checkers: Node takes `main` and the conditions `node` and `require` of `exports`. */
const UNUSED_FOLDERS = new Set(["dist-es", "dist-types"]);
const UNUSED_FILES = /\.(d\.[cm]?ts|ts|map|md|html)$/i;

/** Whether a file of a package can be of use in an image: code, data and licences are, types and texts for readers are not. */
export function isOfUse(path: string): boolean {
  const names = path.split("/");
  return !names.some((name) => UNUSED_FOLDERS.has(name)) && !UNUSED_FILES.test(names.at(-1) ?? "");
}
