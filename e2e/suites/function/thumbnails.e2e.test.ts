/** Real work: a function with a vendored native package, compared byte by byte with the same code run here. */
import { cpSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { applyAndWait, deleteFunctions, must, pythonFunction, pythonTools, root } from "../support/cluster.ts";
import { invoke, lambdaClient } from "../support/lambda.ts";
import { putUserObject } from "../support/objects.ts";

const folder = mkdtempSync(join(tmpdir(), "kappa-thumbnails-"));
const sources = join(root, "e2e/suites/function/thumbnails");
const jpeg = join(folder, "photograph.jpg");
const name = "e2e-thumbnails";
let bin = "";

/** What a user's build does: pip vendors the wheels for Lambda's platform, zip packs them. */
async function buildPackage(): Promise<string> {
  const tree = join(folder, "package");
  const pinned = readFileSync(join(root, "e2e/suites/support/requirements.txt"), "utf8").match(/^pillow==\S+/m)?.[0] ?? "";
  await must(join(bin, "pip"), [
    "install",
    "--quiet",
    "--disable-pip-version-check",
    "--target",
    tree,
    "--platform",
    "manylinux_2_28_x86_64",
    "--python-version",
    "3.11",
    "--only-binary=:all:",
    pinned,
  ]);
  cpSync(join(sources, "thumbnail.py"), join(tree, "thumbnail.py"));
  const zip = join(folder, "package.zip");
  await must("python3", ["-c", "import shutil,sys; shutil.make_archive(sys.argv[1][:-4], 'zip', sys.argv[2])", zip, tree]);
  return zip;
}

beforeAll(async () => {
  bin = pythonTools();
  await must(join(bin, "python"), [join(sources, "photograph.py"), jpeg]);
  await putUserObject("default", "code", "thumbnails.zip", readFileSync(await buildPackage()));
  await applyAndWait(
    pythonFunction(name, "", {
      handler: "thumbnail.handler",
      memorySize: 1769,
      timeout: 60,
      code: { object: { bucket: "code", key: "thumbnails.zip" } },
    }),
  );
});
afterAll(() => deleteFunctions(name));

test("a thumbnail made by the function is the one that the same code makes here", async () => {
  const answer = await invoke(lambdaClient(), name, { jpeg: readFileSync(jpeg).toString("base64"), size: 256 });
  expect(answer.functionError, JSON.stringify(answer.payload)).toBeUndefined();
  const png = Buffer.from(answer.payload.body, "base64");
  expect(png.subarray(0, 8).toString("latin1")).toBe("\x89PNG\r\n\x1a\n");

  const local = join(folder, "local.png");
  const script = "import sys,thumbnail;open(sys.argv[2],'wb').write(thumbnail.thumbnail(open(sys.argv[1],'rb').read(),256))";
  await must(join(bin, "python"), ["-c", script, jpeg, local], { cwd: sources });
  writeFileSync(join(folder, "remote.png"), png);
  expect(png.equals(readFileSync(local))).toBe(true);
});
