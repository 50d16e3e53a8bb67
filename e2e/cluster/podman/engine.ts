import { type Capsule, insideCapsule } from "../capsule.ts";
import { detached, type Engine } from "../engine.ts";
import { attempt, type RunOptions, run } from "../run.ts";
import { podmanEnvironment } from "./config.ts";

/** podman inside the capsule, with the configuration that {@link writePodmanConfig} wrote into `folder`. */
export function podmanEngine(capsule: Capsule, folder: string): Engine {
  const env = podmanEnvironment(folder);
  const withEnv = (options: RunOptions | undefined): RunOptions => ({ ...options, env: { ...env, ...options?.env } });
  const enter = (argv: readonly string[]) => insideCapsule(capsule, argv);
  return {
    name: "podman",
    kindEnv: { KIND_EXPERIMENTAL_PROVIDER: "podman" },
    publishesOnHost: false,
    inside: async (argv, options) => run(await enter(argv), withEnv(options)),
    tryInside: async (argv, options) => attempt(await enter(argv), withEnv(options)),
    startInside: async (argv, logFile) => {
      await run(await enter(detached(logFile, argv)), withEnv({}));
    },
    containers: async (args, options) => run(await enter(["podman", ...args]), withEnv(options)),
    tryContainers: async (args, options) => attempt(await enter(["podman", ...args]), withEnv(options)),
  };
}
