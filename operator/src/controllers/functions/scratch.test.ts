import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Scratch, withStream } from "./scratch.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kappa-scratch-test-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});
const pieces = ["hello ", "world"].map((text) => Buffer.from(text));

describe("Scratch", () => {
  test("hands over what was written, with its digest and size, and deletes it afterwards", async () => {
    let path = "";
    const text = await new Scratch(folder).hold(pieces, 100, async (held) => {
      path = held.path;
      expect(held).toMatchObject({ sha256: createHash("sha256").update("hello world").digest("hex"), size: 11 });
      return (await readFile(held.path)).toString();
    });
    expect(text).toBe("hello world");
    expect(existsSync(path)).toBe(false);
  });

  test("streams what it holds", async () => {
    const read = await new Scratch(folder).hold(pieces, 100, (held) =>
      withStream(held, async (open) => {
        const found: Uint8Array[] = [];
        for await (const piece of open()) found.push(piece);
        return Buffer.concat(found).toString();
      }),
    );
    expect(read).toBe("hello world");
  });

  test("stops at the limit and leaves nothing", async () => {
    async function* endless() {
      for (;;) yield Buffer.alloc(1000);
    }
    await expect(new Scratch(folder).hold(endless(), 5000, async () => "never")).rejects.toMatchObject({ code: "K205" });
    expect(await readdir(folder)).toEqual([]);
  });

  test("leaves nothing when the content breaks off or its use fails", async () => {
    async function* broken() {
      yield Buffer.from("x");
      throw new Error("broken off");
    }
    const scratch = new Scratch(folder);
    await expect(scratch.hold(broken(), 100, async () => "never")).rejects.toThrow("broken off");
    await expect(scratch.hold(pieces, 100, () => Promise.reject(new Error("refused")))).rejects.toThrow("refused");
    expect(await readdir(folder)).toEqual([]);
  });

  test("deletes what a process before it left behind", async () => {
    await writeFile(join(folder, "left-over"), "x");
    await new Scratch(folder).hold(pieces, 100, async () => undefined);
    expect(await readdir(folder)).toEqual([]);
  });
});
