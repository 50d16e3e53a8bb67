import { defineConfig } from "vitest/config";

/** Three sizes of test, one project each; `make test` runs them in this order. */
export default defineConfig({
  test: {
    reporters: ["default"],
    projects: [
      {
        test: {
          name: "unit",
          include: ["{operator,runtime-images,scripts,e2e}/**/*.test.ts"],
          exclude: ["**/*.integration.test.ts", "**/*.e2e.test.ts", "**/node_modules/**"],
        },
      },
      {
        test: {
          name: "integration",
          include: ["{operator,runtime-images}/**/*.integration.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // Two cores: real servers side by side would only slow each other down.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["e2e/suites/**/*.e2e.test.ts"],
          testTimeout: 300_000,
          hookTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
