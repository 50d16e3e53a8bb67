/** The functions that look around, one for each runtime, and what their answers are compared with. */
import { readFileSync } from "node:fs";
import { filesCode, lambdaFunction, type Runtime } from "../support/functions.ts";
import type { Fact } from "./environment-table.ts";

const read = (name: string): string => readFileSync(new URL(`introspection/${name}`, import.meta.url), "utf8");

const node = () => ({ "index.mjs": read("index.mjs") });

/** Files of each runtime's package, beside the script that all of them call. */
const PACKAGES = {
  "python3.11": () => ({ "index.py": read("index.py") }),
  "nodejs22.x": node,
  "nodejs24.x": node,
  "provided.al2023": () => ({ bootstrap: { content: read("bootstrap"), mode: 0o755 } }),
} as const satisfies Partial<Record<Runtime, () => Parameters<typeof filesCode>[0]>>;

type Introspected = keyof typeof PACKAGES;

/** The runtimes that are looked into. */
export const INTROSPECTED = Object.keys(PACKAGES) as Introspected[];

const MEMORY_SIZE = 512;
const HANDLER = "index.handler";

/** Placeholders of the document whose values a function has of its own. */
export const FUNCTION_PLACEHOLDERS = ["name", "runtime", "memory", "handler", "region", "account", "pod"];

/** What these placeholders stand for in one function. */
export function placeholders(
  runtime: Introspected,
  of: { name: string; region: string; account: string; pod: string },
): Record<string, string> {
  return { ...of, runtime, memory: String(MEMORY_SIZE), handler: HANDLER };
}

/** The Function object. */
export function introspectingFunction(name: string, runtime: Introspected): object {
  const code = filesCode({ ...PACKAGES[runtime](), "introspect.sh": read("introspect.sh") });
  return lambdaFunction(name, runtime, HANDLER, code, { memorySize: MEMORY_SIZE, timeout: 60 });
}

/** The facts in an answer: text in base64, a line each, with tabs between section, name and value. */
export function factsIn(payload: string): Fact[] {
  return Buffer.from(payload, "base64")
    .toString()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [section = "", what = "", ...value] = line.split("\t");
      return [section, what, value.join("\t")];
    });
}
