import { mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { isMissing } from "../../../e2e/cluster/files.ts";

/**
 * A folder of the cache that is made once: whole, or not there.
 * @param target named by the content of what it is made from
 * @param make fills an empty folder beside it
 * @returns `target`
 */
export async function kept(target: string, make: (unfinished: string) => Promise<void>): Promise<string> {
  if (await exists(target)) return target;
  const unfinished = `${target}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(dirname(target), { recursive: true });
  await make(unfinished);
  await rename(unfinished, target);
  return target;
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
