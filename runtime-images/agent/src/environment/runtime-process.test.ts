/** What runs here is a real process. */
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LEFTOVERS } from "../limits.ts";
import type { Exit } from "./failures.ts";
import { RuntimeProcess } from "./runtime-process.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kappa-runtime-"));
  writeFileSync(join(folder, "bootstrap"), `#!/bin/sh\ntouch ${folder}/started\n`);
  chmodSync(join(folder, "bootstrap"), 0o755);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Starts it beside leftovers. @param left what each look finds, the last one for good */
function start(...left: number[][]): { process: RuntimeProcess; exit: Promise<Exit>; looks: () => number } {
  const { promise: exit, resolve, reject } = Promise.withResolvers<Exit>();
  let looks = 0;
  const process = new RuntimeProcess({
    runtimeRoot: folder,
    taskRoot: folder,
    maxFileBytes: 1 << 20,
    outputFd: 2,
    cgroupRoot: folder,
    variables: { PATH: "/usr/bin:/bin" },
    running: undefined,
    processes: { list: () => left[Math.min(looks++, left.length - 1)] ?? [] },
    onExit: resolve,
    onStartError: reject,
  });
  return { process, exit, looks: () => looks };
}

test("a runtime is started at once where nothing else is", async () => {
  const { process, exit, looks } = start([]);
  expect([process.pid, looks()]).toEqual([expect.any(Number), 1]);
  expect(await exit).toMatchObject({ code: 0, signal: null });
});

test("what was killed before is gone first", async () => {
  const { process, exit, looks } = start([7, 8], [8], []);
  expect(process.pid).toBeUndefined();
  expect(await exit).toMatchObject({ code: 0 });
  expect(looks()).toBe(3);
});

test("but nobody waits for ever for what does not end", async () => {
  const { exit, looks } = start([7]);
  expect(await exit).toMatchObject({ code: 0 });
  expect(looks()).toBe(LEFTOVERS.looks - 1);
});

test("a start that waits can be given up", async () => {
  const { process } = start([7], [7], []);
  expect(process.cancel()).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, LEFTOVERS.pauseMs * 10));
  expect(existsSync(join(folder, "started"))).toBe(false);
  expect(process.cancel()).toBe(false);
});
