import { expect, test } from "vitest";
import { poolCounts } from "./pool-counts.ts";

test("pools are counted by runtime, whichever accounts and memory sizes they are for", () => {
  const counts = poolCounts(
    [
      { pool: "pool/a/python3.11/public/x86_64/0", state: "warm" },
      { pool: "pool/b/python3.11/public/x86_64/0", state: "warm" },
      { pool: "pool/a/java17/public/x86_64/512", state: "starting" },
      { pool: "pool/a/java17/public/x86_64/512", state: "dead" },
    ],
    new Map([
      ["pool/a/java17/public/x86_64/512", 1],
      ["pool/a/java17/public/x86_64/1024", 2],
    ]),
  );
  expect(counts).toEqual([
    { runtime: "python3.11", state: "warm", count: 2 },
    { runtime: "java17", state: "starting", count: 1 },
    { runtime: "java17", state: "target", count: 3 },
  ]);
});
