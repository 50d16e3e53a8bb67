import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MEMORY_GUARD_MS } from "../limits.ts";
import { MemoryWatch } from "./memory-watch.ts";

const MIB = 1024 * 1024;
let cgroupRoot: string;
let watch: MemoryWatch;
let overruns: number[];

const container = (mib: number) => writeFile(join(cgroupRoot, "memory.max"), `${mib * MIB}\n`);

beforeEach(async () => {
  cgroupRoot = await mkdtemp(join(tmpdir(), "kappa-memory-"));
  await container(1769);
  overruns = [];
  const processes = { signal: () => {}, kill: () => {}, list: () => [process.pid] };
  watch = new MemoryWatch({ processes, cgroupRoot, onOverrun: (pid) => void overruns.push(pid) });
});
afterEach(async () => {
  watch.rest();
  await rm(cgroupRoot, { recursive: true, force: true });
});

/** Events one after the other, each far shorter than the guard's interval, for more than that. */
async function shortEvents(): Promise<void> {
  for (const end = performance.now() + 2 * MEMORY_GUARD_MS; performance.now() < end; ) {
    watch.running();
    await sleep(MEMORY_GUARD_MS / 10);
    watch.rest();
  }
}

test("what uses more than the function has is found however short its events are", async () => {
  watch.enforce(MIB);
  await shortEvents();
  expect(overruns[0]).toBe(process.pid);
});

test("what uses less is let be", async () => {
  watch.enforce(1_000_000 * MIB);
  await shortEvents();
  expect(overruns).toEqual([]);
});

test("once the container has the function's size the kernel does it", async () => {
  watch.enforce(MIB);
  await container(192);
  await shortEvents();
  expect(overruns).toEqual([]);
});

test("the first event is not looked at: its runtime has just started", () => {
  watch.enforce(MIB);
  watch.running();
  expect(overruns).toEqual([]);
});
