/** The package of a function that is given as source text: one file, named so that the handler finds it. */
import { zipSync } from "fflate";
import { KappaError } from "../../domain/errors.ts";

/** Unix in the upper byte of "version made by", so that the mode counts (APPNOTE 4.4.2). */
const MADE_ON_UNIX = 3;

/** Modes of a file with its type, as `stat` gives them. */
const FILE_MODE = 0o100644;
const EXECUTABLE_MODE = 0o100755;

/** ES modules say `import x` or `export` at the start of a line; `import(` is an expression that CommonJS has too. */
const ES_MODULE_SYNTAX = /^\s*(?:export\b|import\b(?!\s*\())/m;

/**
 * Makes the zip archive. The same text gives the same bytes, and so the same digest, on every machine and in every time zone.
 * @throws KappaError K103 when the runtime does not run source text, or the handler names no file
 */
export function inlinePackage(source: { runtime: string; handler: string; text: string }): Uint8Array {
  const { name, mode } = fileOf(source);
  // The format stores local time: the first moment it can express, in whatever zone this is.
  const mtime = new Date(1980, 0, 1);
  return zipSync({ [name]: [new TextEncoder().encode(source.text), { mtime, os: MADE_ON_UNIX, attrs: mode << 16, level: 6 }] });
}

function fileOf({ runtime, handler, text }: { runtime: string; handler: string; text: string }): { name: string; mode: number } {
  if (runtime.startsWith("provided")) return { name: "bootstrap", mode: EXECUTABLE_MODE };
  // As awslambdaric imports it: dots and slashes both separate packages, the last dot separates the function.
  if (runtime.startsWith("python")) return { name: `${moduleOf(handler, "lastIndexOf").replaceAll(".", "/")}.py`, mode: FILE_MODE };
  // As Lambda's Node.js client reads it: a path, and after the first dot of its last segment the export.
  if (runtime.startsWith("nodejs"))
    return { name: `${moduleOf(handler, "indexOf")}${ES_MODULE_SYNTAX.test(text) ? ".mjs" : ".js"}`, mode: FILE_MODE };
  throw new KappaError("K103", `Runtime ${runtime} runs no source text: spec.code.inline works with python, nodejs and provided runtimes`);
}

/** The part of the handler before the dot that starts the function's name. */
function moduleOf(handler: string, search: "indexOf" | "lastIndexOf"): string {
  const folder = handler.lastIndexOf("/") + 1;
  const dot = handler.slice(folder)[search](".");
  const module = handler.slice(0, folder + dot);
  if (dot <= 0 || dot === handler.length - folder - 1 || module.split("/").some((segment) => segment === "" || segment === ".."))
    throw new KappaError(
      "K103",
      `Handler ${JSON.stringify(handler)} names no file and function; write it as FILE.FUNCTION, such as index.handler`,
    );
  return module;
}
