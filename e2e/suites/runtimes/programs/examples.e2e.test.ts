/** The first function of each language, as its file tells a reader to try it: the commands in its comment are run as they stand. */
import { readFileSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectl, must, pythonTools, root } from "../../support/cluster.ts";
import { newFolder, removeFolder } from "./program.ts";

const EXAMPLES = ["hello-python", "hello-node", "hello-java", "hello-shell"];
const folder = newFolder();
let path = "";

/** The commands of a comment, which stand three spaces in. */
const commandsOf = (text: string): string => [...text.matchAll(/^#(?: {3}(.*))?$/gm)].map(([, line = ""]) => line).join("\n");

const remove = async () => {
  await kubectl("delete", "function", "--ignore-not-found", "--wait=true", ...EXAMPLES);
  await kubectl("delete", "configmap", "--ignore-not-found", "hello-java");
};

beforeAll(async () => {
  path = `PATH=${pythonTools()}${delimiter}${process.env.PATH}`;
  symlinkSync(join(root, "examples"), join(folder, "examples"));
  await remove();
});
afterAll(async () => {
  removeFolder(folder);
  await remove();
});

test.for(EXAMPLES)("%s greets whoever the event names", async (example) => {
  const commands = commandsOf(readFileSync(join(root, "examples", `${example}.yaml`), "utf8"));
  expect(commands).toContain("aws lambda invoke");
  await must("env", [path, "bash", "-eu", "-c", commands], { cwd: folder });
  expect(JSON.parse(readFileSync(join(folder, "out.json"), "utf8"))).toEqual({ message: "Hello, x!" });
});
