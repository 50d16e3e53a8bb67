import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { exportLines } from "./environment.ts";

test("whatever a variable holds, a shell that evals the line gets exactly that", () => {
  const value = fc.string({ unit: fc.constantFrom(..."aZ0 '\"$`\\;&|<>(){}*?[]#~!\n\tä") });
  fc.assert(
    fc.property(value, (text) => {
      const script = `${exportLines({ KAPPA_TEST_VALUE: text })}printf %s "$KAPPA_TEST_VALUE"`;
      expect(execFileSync("sh", ["-c", script]).toString("utf8")).toBe(text);
    }),
    { numRuns: 40 },
  );
});

test("ordinary values stay readable", () => {
  expect(exportLines({ KUBECONFIG: "/s/kubeconfig", URL: "http://127.0.0.1:18080" })).toBe(
    "export KUBECONFIG=/s/kubeconfig\nexport URL=http://127.0.0.1:18080\n",
  );
});
