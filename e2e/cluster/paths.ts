import { join } from "node:path";
import { cgroupName } from "./cgroups.ts";
import { currentPartsFolder } from "./parts.ts";
import type { Settings } from "./settings.ts";

/** Where everything of the cluster lies; nothing of it is in a checkout. */
export function pathsOf(settings: Settings) {
  const { stateDir, cacheDir } = settings;
  return {
    stateDir,
    cacheDir,
    /** kubectl, helm and the other built programs. */
    bin: currentPartsFolder(cacheDir),
    kubeconfig: join(stateDir, "kubeconfig"),
    /** The API server's audit log, one JSON document a line; older ones lie beside it. */
    auditLog: join(stateDir, "audit", "audit.log"),
    auditFolder: join(stateDir, "audit"),
    auditPolicy: join(stateDir, "audit-policy.json"),
    kindConfig: join(stateDir, "kind.json"),
    /** Seen by all nodes, read-only. */
    exchange: join(stateDir, "exchange"),
    logs: join(stateDir, "logs"),
    internet: join(stateDir, "internet"),
    relays: join(stateDir, "relays"),
    podman: join(stateDir, "podman"),
    /** Name of the cgroup of everything that runs. */
    cgroup: cgroupName(stateDir),
  } as const;
}

export type Paths = ReturnType<typeof pathsOf>;
