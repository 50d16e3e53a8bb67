/** What is in the packages of the table's functions. */
import { unzipSync } from "fflate";
import { goPackage, javaPackage } from "../support/packages.ts";
import { filesBelow, type PackageFile } from "../support/zip.ts";

type Files = Record<string, PackageFile>;

const folder = (name: string): string => new URL(`handlers/${name}`, import.meta.url).pathname;

export const pythonFiles = async (): Promise<Files> => ({
  ...(await filesBelow(folder("python"))),
  "import_error.py": "import nothing\n\n\ndef handler(event, context):\n    return event\n",
  "syntax_error.py": "def handler(event context):\n    return event\n",
});

export const nodeFiles = async (): Promise<Files> => ({
  ...(await filesBelow(folder("node"))),
  "import_error.cjs": "require('nothing');\nexports.handler = async (event) => event;\n",
  "syntax_error.mjs": "export const handler = async (event context) => event;\n",
});

/** The classes as compiled, less the one that another needs, and a file that is none. */
export const javaClasses = async (): Promise<Files> => {
  const { "example/Missing.class": _, ...classes } = unzipSync(await javaPackage(folder("java")));
  return { ...classes, "example/Corrupt.class": "public class Corrupt {}\n" };
};

const bootstrap = async (): Promise<Uint8Array> => unzipSync(await goPackage(folder("go"))).bootstrap ?? new Uint8Array();

export const goProgram = async (): Promise<Files> => ({ bootstrap: { content: await bootstrap(), mode: 0o755 } });

/** `e_machine` of an ELF header (elf(5)): at byte 18. */
const MACHINE_AT = 18;
const [X86_64, AARCH64] = [62, 183];

/** The start of the program with the other processor in its header, as after a build on another kind of machine. */
export async function otherMachine(): Promise<Uint8Array> {
  const start = (await bootstrap()).slice(0, 4096);
  start[MACHINE_AT] = start[MACHINE_AT] === X86_64 ? AARCH64 : X86_64;
  return start;
}

export const shellFiles = async (): Promise<Files> => {
  const { bootstrap, ...files } = await filesBelow(folder("shell"));
  if (bootstrap === undefined || typeof bootstrap === "string" || bootstrap instanceof Uint8Array) throw new Error("there is no bootstrap");
  return { ...files, bootstrap: { ...bootstrap, mode: 0o755 }, "syntax_error.sh": "handler( {\n" };
};
