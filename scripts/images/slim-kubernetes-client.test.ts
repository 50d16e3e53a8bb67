import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { slimKubernetesClient } from "./slim-kubernetes-client.ts";

/** What operator/src/kube/operator-shell.ts does with the package. */
const PROGRAM = `
import { KubeConfig } from "@kubernetes/client-node";
import dotI from "@dot-i/k8s-operator";
const Operator = typeof dotI === "function" ? dotI : dotI.default;
class Shell extends Operator { async init() {} }
const shell = new Shell();
console.log(JSON.stringify({ sameClass: shell.kubeConfig instanceof KubeConfig, cluster: shell.kubeConfig.getCurrentCluster()?.server }));
`;

test("the operator package starts with a fraction of the Kubernetes client, and with the same KubeConfig as the rest", async () => {
  const folder = await mkdtemp(join(tmpdir(), "kappa-slim-"));
  try {
    const outfile = join(folder, "main.mjs");
    const { metafile } = await build({
      stdin: { contents: PROGRAM, resolveDir: import.meta.dirname },
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
      bundle: true,
      platform: "node",
      format: "esm",
      metafile: true,
      outfile,
      plugins: [slimKubernetesClient],
    });
    const inputs = Object.entries(Object.values(metafile.outputs)[0]?.inputs ?? {});
    const client = inputs
      .filter(([path]) => path.includes("@kubernetes/client-node"))
      .reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0);
    // Its generated API classes alone are 15 MB.
    expect(client).toBeLessThan(3_000_000);
    const { stdout } = await promisify(execFile)(process.execPath, [outfile], { env: { HOME: folder } });
    expect(JSON.parse(stdout)).toEqual({ sameClass: true, cluster: "http://localhost:8080" });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 60_000);
