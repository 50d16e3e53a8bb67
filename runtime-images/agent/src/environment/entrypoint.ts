/** Whether the program that a provided runtime consists of can be started; said in the words of Lambda, whose supervisor is written in Go. */
import { closeSync, openSync, readSync, statSync } from "node:fs";

/** ELF's e_machine by Node's name of the architecture (elf(5)). */
const MACHINE: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

const ELF = Buffer.from("\x7fELF", "latin1");
const SCRIPT = Buffer.from("#!");
/** Longest first line that the kernel reads (execve(2), "Interpreter scripts"). */
const HEAD_BYTES = 256;

/** What is known of one file. */
export interface Program {
  path: string;
  /** Undefined: there is no such file. */
  file: { executable: boolean; head: Uint8Array } | undefined;
}

/**
 * What is wrong with the first program that is there, or undefined. Pure.
 * @param exists whether a file is there
 */
export function entrypointProblem(programs: readonly Program[], machine: string, exists: (path: string) => boolean): string | undefined {
  const found = programs.find(({ file }) => file !== undefined);
  if (!found?.file) return `Couldn't find valid bootstrap(s): [${programs.map(({ path }) => path).join(" ")}]`;
  const why = executionProblem(found.file, machine, exists);
  return why && `fork/exec ${found.path}: ${why}`;
}

function executionProblem(file: { executable: boolean; head: Uint8Array }, machine: string, exists: (path: string) => boolean) {
  if (!file.executable) return "permission denied";
  const head = Buffer.from(file.head);
  if (head.subarray(0, SCRIPT.length).equals(SCRIPT)) {
    const interpreter = /^#![ \t]*([^ \t\n]*)/.exec(head.toString("latin1"))?.[1] ?? "";
    return exists(interpreter) ? undefined : "no such file or directory";
  }
  // e_ident[EI_DATA] is 1 on both architectures: little-endian.
  const isOurs = head.length >= 20 && head.subarray(0, ELF.length).equals(ELF) && head.readUInt16LE(18) === MACHINE[machine];
  return isOurs ? undefined : "exec format error";
}

/** Reads what {@link entrypointProblem} wants to know. */
export function readProgram(path: string): Program {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) return { path, file: undefined };
    return { path, file: { executable: (stat.mode & 0o111) !== 0, head: readHead(path) } };
  } catch {
    return { path, file: undefined };
  }
}

function readHead(path: string): Uint8Array {
  const head = Buffer.alloc(HEAD_BYTES);
  const fd = openSync(path, "r");
  try {
    return head.subarray(0, readSync(fd, head, 0, head.length, 0));
  } finally {
    closeSync(fd);
  }
}
