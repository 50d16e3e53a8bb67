import { dockerEngine, whyNotDocker } from "./docker-engine.ts";
import type { Engine } from "./engine.ts";
import { ClusterError } from "./failure.ts";
import type { Paths } from "./paths.ts";
import { podmanEngine } from "./podman/engine.ts";
import type { EngineName, Settings } from "./settings.ts";
import type { State } from "./state.ts";

/** The engine of a recorded cluster. */
export function engineOf(state: Pick<State, "engine" | "capsule">, paths: Paths): Engine {
  if (state.engine === "docker") return dockerEngine(paths.cgroup);
  if (!state.capsule) throw new ClusterError("the cluster has no namespaces yet", "run `make up`");
  return podmanEngine(state.capsule, paths.podman);
}

/** The engine to use: the one asked for, else the recorded cluster's, else docker where a daemon and a registry answer, else podman. */
export async function chooseEngine(settings: Settings, recorded: EngineName | undefined): Promise<EngineName> {
  if (settings.engine === "podman") return "podman";
  if (settings.engine === undefined && recorded !== undefined) return recorded;
  const obstacle = await whyNotDocker(settings.nodeImage);
  if (obstacle === undefined) return "docker";
  if (settings.engine === "docker")
    throw new ClusterError(
      `KAPPA_ENGINE is docker, but ${obstacle}`,
      "start the Docker daemon and let it reach a registry, or set KAPPA_ENGINE=podman",
    );
  return "podman";
}
