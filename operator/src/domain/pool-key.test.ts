import { describe, expect, test } from "vitest";
import { type PoolKey, poolKeyOf, poolName, poolText } from "./pool-key.ts";

const limits = { memoryMb: 1769, ephemeralStorageMb: 512 };
const effective = { runtime: "python3.11", memorySize: 256, ephemeralStorageMb: 512, architectures: ["x86_64" as const] };
const keyOf = (over: Partial<typeof effective>, namespace = "team") =>
  poolKeyOf({ namespace, placement: "public", effective: { ...effective, ...over } }, limits);

describe("a function can come from", () => {
  test.each<[string, Partial<typeof effective>, number]>([
    ["one pool of its runtime, however much memory it has", {}, 0],
    ["a pool of its memory size where the heap is fixed when a process starts: Node.js", { runtime: "nodejs24.x" }, 256],
    ["a pool of its memory size where the heap is fixed when a process starts: Java", { runtime: "java17", memorySize: 512 }, 512],
    ["a pool where it has all the memory that there is", { memorySize: 1769 }, 0],
  ])("%s", (_, over, heapMb) => {
    expect(keyOf(over)?.heapMb).toBe(heapMb);
  });

  test.each<[string, Partial<typeof effective>]>([
    ["more memory than its pods have", { memorySize: 1770 }],
    ["another /tmp than its pods have", { ephemeralStorageMb: 1024 }],
  ])("no pool with %s", (_, over) => {
    expect(keyOf(over)).toBeUndefined();
  });
});

test("pools of other accounts, runtimes, architectures, placements and heaps are others", () => {
  const key: PoolKey = { namespace: "team", runtime: "java17", placement: "public", architecture: "x86_64", heapMb: 512 };
  const others: PoolKey[] = [
    { ...key, namespace: "other" },
    { ...key, runtime: "java21" },
    { ...key, placement: "vpc" },
    { ...key, architecture: "arm64" },
    { ...key, heapMb: 1024 },
  ];
  expect(new Set([key, ...others].map(poolText)).size).toBe(6);
  expect(poolName(key)).toBe("java17/public/x86_64/512");
});
