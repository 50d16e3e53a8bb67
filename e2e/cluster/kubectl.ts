import { join } from "node:path";
import type { Paths } from "./paths.ts";
import { attempt, type RunOptions, type RunResult, run } from "./run.ts";

/** Runs kubectl of the built parts against the cluster, from the host. */
export type Kubectl = {
  (...args: readonly string[]): Promise<string>;
  /** The same, with its standard input, time limit and so on; the exit code does not matter. */
  attempt(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** Server-side apply of objects. */
  apply(objects: readonly object[]): Promise<void>;
};

export function kubectlOf(paths: Paths): Kubectl {
  const argv = (args: readonly string[]) => [join(paths.bin, "kubectl"), "--kubeconfig", paths.kubeconfig, ...args];
  const kubectl = (...args: readonly string[]) => run(argv(args));
  return Object.assign(kubectl, {
    attempt: (args: readonly string[], options?: RunOptions) => attempt(argv(args), options),
    apply: async (objects: readonly object[]) => {
      const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
      await run(argv(["apply", "--server-side", "--force-conflicts", "--field-manager=kappa-cluster", "-f", "-"]), { input: list });
    },
  });
}
