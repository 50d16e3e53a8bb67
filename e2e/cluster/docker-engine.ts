import { createCgroups, hierarchies, joiningCgroup } from "./cgroups.ts";
import { detached, type Engine } from "./engine.ts";
import { attempt, run } from "./run.ts";

/** Docker on the host: nodes' ports are published there, and so is the wire to the local internet. */
export function dockerEngine(cgroup: string): Engine {
  return {
    name: "docker",
    kindEnv: { KIND_EXPERIMENTAL_PROVIDER: "docker" },
    publishesOnHost: true,
    inside: run,
    tryInside: attempt,
    startInside: async (argv, logFile) => {
      // The cgroup is how `down` finds these processes.
      const all = await hierarchies();
      await createCgroups(all, cgroup);
      await run(["sh", ...joiningCgroup(all, cgroup), ...detached(logFile, argv)]);
    },
    containers: (args, options) => run(["docker", ...args], options),
    tryContainers: (args, options) => attempt(["docker", ...args], options),
  };
}

/** Whether a Docker daemon answers that can also fetch images, and if not, why. */
export async function whyNotDocker(image: string | undefined): Promise<string | undefined> {
  const daemon = await attempt(["docker", "version", "--format", "{{.Server.Version}}"], { timeoutMs: 20_000 });
  if (daemon.exitCode === 127) return "docker is not installed";
  if (daemon.exitCode !== 0) return "no Docker daemon answers";
  if (image !== undefined && (await attempt(["docker", "image", "inspect", image], { timeoutMs: 20_000 })).exitCode === 0) return undefined;
  const name = image ?? "kindest/node";
  const registry = await attempt(["docker", "manifest", "inspect", image ?? "kindest/node:latest"], { timeoutMs: 30_000 });
  // "No such manifest" is an answer of the registry too.
  return registry.exitCode === 0 || /no such manifest|manifest unknown/.test(registry.stderr)
    ? undefined
    : `the registry of ${name} cannot be reached`;
}
