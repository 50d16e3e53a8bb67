import { createHash } from "node:crypto";
import { unzipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { inlinePackage } from "./inline-package.ts";
import { checkBytes } from "./testing/check-bytes.ts";

const fileName = (runtime: string, handler: string, text = "x = 1") => Object.keys(unzipSync(inlinePackage({ runtime, handler, text })))[0];

describe("inlinePackage", () => {
  test.each([
    ["python3.11", "index.handler", "index.py"],
    ["python3.11", "app/main.run", "app/main.py"],
    ["python3.11", "app.main.run", "app/main.py"],
    ["nodejs24.x", "index.handler", "index.js"],
    ["nodejs24.x", "src/app.handlers.run", "src/app.js"],
    ["provided.al2023", "anything", "bootstrap"],
  ])("gives %s with handler %s the file %s", (runtime, handler, name) => {
    expect(fileName(runtime, handler)).toBe(name);
  });

  test.each([
    ["export const handler = async () => 1;", "index.mjs"],
    ["// a comment\nimport { x } from 'y';\nexport default x;", "index.mjs"],
    ["import'node:fs';", "index.mjs"],
    ["exports.handler = async () => 1;", "index.js"],
    ["const a = () => import('b');\nexports.handler = a;", "index.js"],
    ["const exported = 1;", "index.js"],
  ])("tells from %j that the file is %s", (text, name) => {
    expect(fileName("nodejs24.x", "index.handler", text)).toBe(name);
  });

  test("makes the bootstrap of a custom runtime executable", async () => {
    const bytes = inlinePackage({ runtime: "provided.al2023", handler: "x", text: "#!/bin/sh\n" });
    // External attributes in the first central directory record: offset 38 (APPNOTE 4.3.12).
    const zip = Buffer.from(bytes);
    const mode = zip.readUInt32LE(zip.indexOf("PK\x01\x02", 0, "latin1") + 38) >>> 16;
    expect(mode.toString(8)).toBe("100755");
  });

  test("gives the same bytes for the same text, whenever and wherever it is made", () => {
    const source = { runtime: "python3.11", handler: "index.handler", text: "def handler(event, context):\n    return event\n" };
    const digest = createHash("sha256").update(inlinePackage(source)).digest("hex");
    expect(
      createHash("sha256")
        .update(inlinePackage({ ...source }))
        .digest("hex"),
    ).toBe(digest);
    // A changed digest means that every inline function gets a new package when Kappa is upgraded: it must be meant.
    expect(digest).toBe("3a2f3917132948b6c00ae2bd16afc75203922402f9a6d2537d9b43c07e66b893");
  });

  test("makes a package that passes the check", async () => {
    await checkBytes(inlinePackage({ runtime: "python3.11", handler: "index.handler", text: "päckage = '✓'" }));
  });

  test.each(["handler", ".handler", "index.", "../index.handler", "/index.handler", "a//b.handler"])(
    "refuses the handler %j, which names no file",
    (handler) => {
      expect(() => inlinePackage({ runtime: "python3.11", handler, text: "" })).toThrow("FILE.FUNCTION");
    },
  );

  test("refuses a runtime that runs no source text", () => {
    expect(() => inlinePackage({ runtime: "java17", handler: "A::b", text: "" })).toThrow("java17");
  });
});
