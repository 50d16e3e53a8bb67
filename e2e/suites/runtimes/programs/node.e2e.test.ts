/** Programs for Node.js with what npm vendors, pure and native, on both of its runtimes and here. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, must, root } from "../../support/cluster.ts";
import { lambdaClient } from "../../support/lambda.ts";
import { codeOf, lambdaFunction } from "../support/functions.ts";
import { npmPackage } from "../support/packages.ts";
import { invokeRaw, newFolder, nodeHere, programFolder, removeFolder, unpacked } from "./program.ts";

const RUNTIMES = ["nodejs22.x", "nodejs24.x"] as const;
const folder = newFolder();
const client = lambdaClient();
const nameOf = (program: string, runtime: string) => `e2e-programs-${program}-${runtime.replace(".x", "")}`;
const names = RUNTIMES.flatMap((runtime) => [nameOf("markdown", runtime), nameOf("sharp", runtime)]);
let markdown = "";
let sharp = "";

beforeAll(async () => {
  const packages = { markdown: await npmPackage(programFolder("node-markdown")), sharp: await npmPackage(programFolder("node-sharp")) };
  markdown = unpacked(packages.markdown, folder, "markdown");
  sharp = unpacked(packages.sharp, folder, "sharp");
  const markdownCode = await codeOf("programs-node-markdown.zip", packages.markdown);
  const sharpCode = await codeOf("programs-node-sharp.zip", packages.sharp);
  await applyAndWait(
    ...RUNTIMES.flatMap((runtime) => [
      lambdaFunction(nameOf("markdown", runtime), runtime, "index.handler", markdownCode, { memorySize: 256, timeout: 30 }),
      lambdaFunction(nameOf("sharp", runtime), runtime, "index.handler", sharpCode, { memorySize: 1769, timeout: 60 }),
    ]),
  );
});
afterAll(async () => {
  removeFolder(folder);
  await deleteFunctions(...names);
});

describe.each(RUNTIMES)("%s", (runtime) => {
  test("this repository's README becomes the HTML that the same module makes here", async () => {
    const event = JSON.stringify({ text: readFileSync(join(root, "README.md"), "utf8") });
    const answer = await invokeRaw(client, nameOf("markdown", runtime), event);
    expect(answer.functionError, answer.text).toBeUndefined();
    expect(JSON.parse(answer.text).html).toContain("<h1>Kappa</h1>");
    expect(answer.text).toBe(await nodeHere(join(markdown, "index.mjs"), event));
  });

  test("a picture's preview by a native module is the one that it makes here, byte by byte", async () => {
    const picture = join(folder, "picture.png");
    await must(process.execPath, [join(sharp, "picture.js"), picture], { cwd: sharp });
    const event = JSON.stringify({ picture: readFileSync(picture).toString("base64"), width: 320 });
    const answer = await invokeRaw(client, nameOf("sharp", runtime), event);
    expect(answer.functionError, answer.text).toBeUndefined();
    expect(JSON.parse(answer.text)).toMatchObject({ width: 320, height: 480, format: "webp" });
    expect(answer.text).toBe(await nodeHere(join(sharp, "index.js"), event));
  });
});
