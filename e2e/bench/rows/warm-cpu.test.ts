import { expect, test } from "vitest";
import { cpuText } from "./warm-cpu.ts";

test("each part has its line, the largest first, and what does next to nothing has none", () => {
  const text = cpuText(
    {
      parts: new Map([
        ["agent", { user: 100, system: 50 }],
        ["gateway", { user: 200, system: 40.4 }],
        ["kubelet", { user: 0.2, system: 0.3 }],
      ]),
      perSecond: 1770.4,
    },
    { parts: new Map([["bare server", { user: 20, system: 10 }]]), perSecond: 38176 },
  );
  expect(text).toContain("Kappa 1770/s, bare Node 38176/s");
  expect(text.split("\n").slice(6)).toEqual([
    "| Kappa | gateway | 200 | 40 | 240 |",
    "| Kappa | agent | 100 | 50 | 150 |",
    "| bare Node | bare server | 20 | 10 | 30 |",
  ]);
});
