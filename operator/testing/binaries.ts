import { accessSync, constants } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Folder of the programs that the tests run for real: `KAPPA_PARTS`, else the cache that the cluster's build fills. */
function partsFolder(): string {
  return process.env.KAPPA_PARTS ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "kappa/parts/current/bin");
}

/**
 * Path of a program of the parts cache.
 * @throws Error that says how to get it when it is not there.
 */
export function binary(name: "etcd" | "kube-apiserver" | "kubectl" | "nats-server"): string {
  const path = join(partsFolder(), name);
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new Error(`${path} is not there or not executable: run make parts, or point KAPPA_PARTS at a folder that has ${name}`);
  }
  return path;
}
