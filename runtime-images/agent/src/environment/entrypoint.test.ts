import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { entrypointProblem, type Program, readProgram } from "./entrypoint.ts";

const elf = (machine: number): Uint8Array => {
  const head = Buffer.alloc(64);
  head.write("\x7fELF", "latin1");
  head.writeUInt16LE(machine, 18);
  return head;
};
const program = (path: string, head: string | Uint8Array, executable = true): Program => ({
  path,
  file: { executable, head: Buffer.from(head as string) },
});
const missing = (path: string): Program => ({ path, file: undefined });

test.each<[string, Program[], string | undefined]>([
  [
    "none",
    [missing("/var/task/bootstrap"), missing("/opt/bootstrap")],
    "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]",
  ],
  ["a script", [program("/var/task/bootstrap", "#!/bin/sh\necho")], undefined],
  ["a script with an argument", [program("/var/task/bootstrap", "#! /bin/sh -e\n")], undefined],
  ["a script for Windows", [program("/var/task/bootstrap", "#!/bin/sh\r\n")], "fork/exec /var/task/bootstrap: no such file or directory"],
  ["a script of a missing language", [program("/b", "#!/usr/bin/none\n")], "fork/exec /b: no such file or directory"],
  ["a script without a first line", [program("/b", "echo hello\n")], "fork/exec /b: exec format error"],
  ["an empty file", [program("/b", "")], "fork/exec /b: exec format error"],
  ["a program", [program("/b", elf(62))], undefined],
  ["a program for another machine", [program("/b", elf(183))], "fork/exec /b: exec format error"],
  ["a file that may not be executed", [program("/b", "#!/bin/sh\n", false)], "fork/exec /b: permission denied"],
  ["one in a layer", [missing("/var/task/bootstrap"), program("/opt/bootstrap", elf(62))], undefined],
  [
    "one in the package before one in a layer",
    [program("/var/task/bootstrap", ""), program("/opt/bootstrap", elf(62))],
    "fork/exec /var/task/bootstrap: exec format error",
  ],
])("of a provided runtime with %s Lambda says what is wrong", (_, programs, expected) => {
  expect(entrypointProblem(programs, "x64", (path) => path === "/bin/sh")).toBe(expected);
});

test("a program is read from its file", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kappa-entry-"));
  try {
    const path = join(folder, "bootstrap");
    expect(readProgram(path)).toEqual({ path, file: undefined });
    expect(readProgram(folder)).toEqual({ path: folder, file: undefined });
    await writeFile(path, "#!/bin/sh\n", { mode: 0o755 });
    expect(readProgram(path)).toEqual({ path, file: { executable: true, head: Buffer.from("#!/bin/sh\n") } });
  } finally {
    await rm(folder, { recursive: true });
  }
});
