import { defineConfig } from "vitest/config";

/** What is polled for comes within milliseconds; a busy machine may take its time. */
const poll = { timeout: 20_000 };

const EXHAUSTION = "runtime-images/agent/exhaustion.integration.test.ts";

/** Three sizes of test; `make test` runs them in this order. */
export default defineConfig({
  test: {
    reporters: ["default"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["{operator,runtime-images,scripts,e2e}/**/*.test.ts"],
          exclude: ["**/*.integration.test.ts", "**/*.e2e.test.ts", "**/node_modules/**"],
          // The time that a test takes proves nothing: the limit is for those that hang.
          testTimeout: 30_000,
          expect: { poll },
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "integration",
          include: ["{operator,runtime-images}/**/*.integration.test.ts"],
          exclude: [EXHAUSTION, "**/node_modules/**"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          expect: { poll },
          // Tests with real servers wait more than they compute.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          // Code that takes all it can get: nothing else runs beside it.
          name: "integration-exhaustion",
          include: [EXHAUSTION],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          expect: { poll },
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: "e2e",
          include: ["e2e/suites/**/*.e2e.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
