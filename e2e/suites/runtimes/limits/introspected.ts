/** The functions that look around, one for each runtime, and what their answers are compared with. */
import { readFileSync } from "node:fs";
import { unzipSync } from "fflate";
import { filesCode, lambdaFunction, type Runtime } from "../support/functions.ts";
import { javaPackage } from "../support/packages.ts";
import type { Fact } from "./environment-table.ts";

const read = (name: string): string => readFileSync(new URL(`introspection/${name}`, import.meta.url), "utf8");

type Files = Parameters<typeof filesCode>[0];

/** What a runtime's package has beside the script that all of them call. */
interface Package {
  handler: string;
  files: () => Promise<Files>;
}

const python: Package = { handler: "index.handler", files: async () => ({ "index.py": read("index.py") }) };
const node: Package = { handler: "index.handler", files: async () => ({ "index.mjs": read("index.mjs") }) };
const java: Package = {
  handler: "example.Introspection",
  files: async () => unzipSync(await javaPackage(new URL("introspection/java", import.meta.url).pathname)),
};
const shell: Package = { handler: "any", files: async () => ({ bootstrap: { content: read("bootstrap"), mode: 0o755 } }) };

const PACKAGES = {
  "python3.11": python,
  "nodejs22.x": node,
  "nodejs24.x": node,
  java17: java,
  "provided.al2023": shell,
} as const satisfies Record<Runtime, Package>;

/** The runtimes that are looked into: all. */
export const INTROSPECTED = Object.keys(PACKAGES) as Runtime[];

const MEMORY_SIZE = 512;

/** Placeholders of the document whose values a function has of its own. */
export const FUNCTION_PLACEHOLDERS = ["name", "runtime", "memory", "handler", "region", "account", "pod"];

/** What these placeholders stand for in one function. */
export function placeholders(runtime: Runtime, of: { name: string; region: string; account: string; pod: string }): Record<string, string> {
  return { ...of, runtime, memory: String(MEMORY_SIZE), handler: PACKAGES[runtime].handler };
}

/** The Function object. */
export async function introspectingFunction(name: string, runtime: Runtime): Promise<object> {
  const { handler, files } = PACKAGES[runtime];
  const code = filesCode({ ...(await files()), "introspect.sh": read("introspect.sh") });
  return lambdaFunction(name, runtime, handler, code, { memorySize: MEMORY_SIZE, timeout: 60 });
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
