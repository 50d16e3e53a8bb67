/** The command that starts a runtime, with what must hold from its first instruction on and for all that it starts. */
import { existsSync } from "node:fs";
import { FUNCTION_NICENESS, MAX_OPEN_FILES } from "../limits.ts";

const SHELL = "/bin/sh";
const NICE = "/usr/bin/nice";

/** Bytes in a block of the shell's `ulimit -f` (POSIX). */
const BLOCK = 512;

/**
 * Node can set none of these, and it gives every child the default action of every signal. Beyond the size of a file a write then
 * fails with EFBIG, where it would have killed a program that has no action of its own for SIGXFSZ. That limit is soft: a program
 * that maps large files in memory may raise it. Both steps together take 0.6 ms longer than no limits but that of open files.
 */
const SCRIPT = `trap '' XFSZ; ulimit -n ${MAX_OPEN_FILES}; ulimit -S -f "$1"; exec ${NICE} -n ${FUNCTION_NICENESS} "$2"`;

/**
 * @param maxFileBytes largest file that the function may write
 * @param exists whether a file is there
 */
export function startCommand(
  bootstrap: string,
  maxFileBytes: number,
  exists: (path: string) => boolean = existsSync,
): [file: string, ...args: string[]] {
  // An image of somebody else's may lack them; the container's own limits hold then.
  if (!exists(SHELL) || !exists(NICE)) return [bootstrap];
  return [SHELL, "-c", SCRIPT, SHELL, String(Math.floor(maxFileBytes / BLOCK)), bootstrap];
}
