import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { withLock } from "./lock.ts";

const folder = async () => {
  const path = await mkdtemp(join(tmpdir(), "kappa-lock-"));
  onTestFinished(() => rm(path, { recursive: true }));
  return path;
};

test("a second holder is refused by the first one's process id, and gets in when it is done", async () => {
  const path = await folder();
  await withLock(path, async () => {
    await expect(withLock(path, async () => "in")).rejects.toThrow(`process ${process.pid} is changing the cluster`);
  });
  expect(await withLock(path, async () => "in")).toBe("in");
});

test.each([
  ["of a process that is gone", JSON.stringify({ pid: process.pid, startTime: "1" })],
  ["that is damaged", "{"],
])("a lock %s counts as free", async (_name, text) => {
  const path = await folder();
  await writeFile(join(path, "lock"), text);
  expect(await withLock(path, async () => "in")).toBe("in");
});

test("failing work frees the lock", async () => {
  const path = await folder();
  await expect(withLock(path, () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  expect(await withLock(path, async () => "in")).toBe("in");
});
