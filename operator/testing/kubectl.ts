import { spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { binary } from "./binaries.ts";

export interface KubectlResult {
  /** Exit code, 0 on success. */
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the real kubectl. Never throws because of its exit code. `input` becomes its standard input, for `-f -`. */
export async function kubectl(kubeconfigPath: string, args: string[], input = ""): Promise<KubectlResult> {
  // Its cache of what a server offers goes away with the server; the home directory's would outlive it.
  const cache = join(dirname(kubeconfigPath), "kubectl-cache");
  const child = spawn(binary("kubectl"), ["--kubeconfig", kubeconfigPath, "--cache-dir", cache, ...args], { stdio: "pipe" });
  child.stdin.on("error", () => {
    // It may end without reading its input; what it says about that is in stderr.
  });
  child.stdin.end(input);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "exit")]);
  return { code: typeof code === "number" ? code : 1, stdout, stderr };
}

const CRDS = join(import.meta.dirname, "../../crds");

/** Installs every CRD of `crds/` and waits until the API server serves them. @throws Error with what kubectl said. */
export async function installCrds(kubeconfigPath: string): Promise<void> {
  await succeed(kubeconfigPath, ["apply", "--server-side", "-f", CRDS]);
  await succeed(kubeconfigPath, ["wait", "--for=condition=Established", "--timeout=60s", "-f", CRDS]);
}

async function succeed(kubeconfigPath: string, args: string[]): Promise<void> {
  const { code, stdout, stderr } = await kubectl(kubeconfigPath, args);
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")} ended with ${code}:\n${stderr}${stdout}`);
}
