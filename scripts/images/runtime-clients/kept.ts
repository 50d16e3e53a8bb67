import { randomUUID } from "node:crypto";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { isMissing } from "../../../e2e/cluster/files.ts";

/**
 * A folder of the cache that is made once: whole, or not there.
 * @param target named by the content of what it is made from
 * @param make makes and fills a folder beside it
 * @returns `target`
 */
export async function kept(target: string, make: (unfinished: string) => Promise<void>): Promise<string> {
  if (await exists(target)) return target;
  // Of this call alone: a build of images and tests of runtimes may make the same at the same time.
  const unfinished = `${target}.${randomUUID()}.unfinished`;
  await mkdir(dirname(target), { recursive: true });
  try {
    await make(unfinished);
    await rename(unfinished, target);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    // Another one was faster.
    if (!(isTaken(error) && (await exists(target)))) throw error;
  }
  return target;
}

/** Whether a folder could not be renamed because there is one of that name, with something in it. */
function isTaken(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOTEMPTY" || error.code === "EEXIST");
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
